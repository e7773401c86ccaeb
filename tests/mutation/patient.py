"""`mutmut` with a limit of CPU time alone for each mutant: `python tests/mutation/patient.py run …`.

mutmut ends a mutant after a while by the clock and counts it as an endless loop. On a busy machine that is a while too
short for tests that only wait for their turn, and mutants seemed killed that no test had noticed. An endless loop uses
up its CPU time anyhow; the clock is kept for one that sleeps.
"""

from mutmut.__main__ import cli
from mutmut.workers import isolation, timeout

PATIENCE = 60


def by_the_clock(pid: int, timeout_s: float) -> None:
    timeout.register_timeout(pid, PATIENCE * timeout_s)


if __name__ == "__main__":
    assert isolation.register_timeout is timeout.register_timeout
    isolation.register_timeout = by_the_clock
    cli()
