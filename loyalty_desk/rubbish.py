"""How often a process that sells or prices looks for rubbish: nearly all dies by itself and needs no look."""

from __future__ import annotations

import gc

# A check of 1 000 lines by 1 000 rules makes millions of objects that stay until it is answered: looked through after
# every 700 new ones, they took more than half of its time and stopped the window for half a second.
AFTER_OBJECTS = 100_000
AFTER_LOOKS = 50


def look_seldom() -> None:
    """Leave out of every look what stands now, and look again only after very many new objects.

    To be called once, when a process has imported and opened what it works with: going through that of a till takes
    40 ms, in which nothing else happens.
    """
    gc.freeze()
    gc.set_threshold(AFTER_OBJECTS, AFTER_LOOKS, AFTER_LOOKS)
