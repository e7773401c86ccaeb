"""A second thread for tests of the window: it runs at once, or when told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class InlineRunner:
    """Runs at once, or, while `held`, when told; timers fire when told."""

    held: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)
    timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def run[T](self, work: Callable[[], T], done: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
        def job() -> None:
            try:
                result = work()
            except Exception as error:
                failed(error)
            else:
                done(result)

        if self.held:
            self.waiting.append(job)
        else:
            job()

    def later(self, seconds: float, what: Callable[[], None]) -> Callable[[], None]:
        entry = (seconds, what)
        self.timers.append(entry)
        return lambda: self.timers.remove(entry) if entry in self.timers else None

    def release(self) -> None:
        """Run everything that was held, in order."""
        jobs, self.waiting = self.waiting, []
        for job in jobs:
            job()

    def fire(self) -> None:
        """Let every timer fire."""
        timers, self.timers = self.timers, []
        for _, what in timers:
            what()
