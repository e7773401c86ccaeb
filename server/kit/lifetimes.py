"""Whether what was given for some time still holds, also where the server's clock was ahead when it was given.

A clock that stood a year ahead for a minute would else have given sessions, codes and holds that last for a year.
"""

from __future__ import annotations

from datetime import datetime, timedelta

# As far as a clock may be set back without anybody being sent away.
SLACK = timedelta(minutes=10)


def holds_at(now: datetime, expires_at: datetime, lives: timedelta) -> bool:
    """Return whether something that is given for `lives` at most holds at `now`: not over, nor of the future."""
    return now < expires_at <= now + lives + SLACK
