"""Two families of error: for the person at the counter, and for us.

A `ForPerson` carries a stable code and numbers; the sentence is made from them where a language is known
(`ui`, `cli`), so the kernel holds no prose in any language. A `Broken` is a fault of ours: it goes to the crash log.
"""

from __future__ import annotations


class ForPerson(Exception):
    """Something the cashier, manager or guest can understand and act on.

    `code` is stable and lower case with underscores (`amount_ambiguous`); `facts` are the numbers and names that
    the sentence needs. Money facts are minor units, points are smallest point units, times are aware UTC.
    """

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts = facts

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in sorted(self.facts.items()))
        return f"{self.code} ({shown})" if shown else self.code


class BadInput(ForPerson):
    """What was typed, scanned or read from a file cannot be understood. Nothing has happened."""


class Refused(ForPerson):
    """Understood, and not allowed; the code says by which limit or rule. Nothing has happened."""


class Broken(Exception):
    """A fault of ours or of the machine: to the crash log, never to the cashier as it stands."""
