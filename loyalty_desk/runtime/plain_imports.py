"""Python's own `import` left in place of PySide's; whatever starts a window imports this before PySide.

PySide replaces it to serve `from __feature__ import …`, and then reads the source of each module imported later, to see
whether that uses PySide: measured at the till's start, some 80 ms and 6 MiB for sources that nobody asks for again.
Nothing here uses a feature. Where PySide is there already, nothing changes.
"""

from __future__ import annotations

import builtins

_pythons_own = builtins.__import__

import PySide6.QtCore  # noqa: E402, F401 - the replacing happens here

builtins.__import__ = _pythons_own
