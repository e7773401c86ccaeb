"""The statement at the end of the day: what the tills say beside what the ledger says, and whether it is the same."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from loyalty_desk.services import formats

WIDTH = 110


@dataclass(frozen=True, slots=True)
class Held:
    """One figure as each side has it."""

    what: str
    at_tills: str
    in_ledger: str
    is_good: bool
    good: str = "same"
    bad: str = "DIFFERS"


@dataclass
class Statement:
    """Figures held against each other, the overdraft beside its bound, and the ledger's own last word."""

    held: list[Held] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    verified: str = ""

    def hold(self, what: str, at_tills: int | str, in_ledger: int | str) -> None:
        """Hold what the tills say against what the ledger says."""
        self.held.append(Held(what, _shown(at_tills), _shown(in_ledger), str(at_tills) == str(in_ledger)))

    def overdraft(self, who: str, points: int, bound: int, exceptions: Sequence[str]) -> None:
        """Hold an overdraft against its bound; one that is there must be an exception for somebody to look at."""
        self.exceptions = list(exceptions)
        is_good = 0 < points <= bound and bool(exceptions)
        self.held.append(
            Held(
                f"Overdraft of {who}, and its bound",
                _shown(points),
                f"at most {_shown(bound)}",
                is_good,
                "within",
                "BEYOND",
            )
        )

    def differs(self) -> list[str]:
        """Return what is not as it must be."""
        return [f"{one.what}: {one.at_tills} and {one.in_ledger}" for one in self.held if not one.is_good]

    def text(self) -> str:
        """Return it as a table for people."""
        rows = [(one.what, one.at_tills, one.in_ledger, one.good if one.is_good else one.bad) for one in self.held]
        columns = ("What", ">At the tills", ">In the ledger", "")
        lines = [table("The statement", columns, rows)]
        lines += [f"   Exception to be looked at: {one}, before what that sale earned" for one in self.exceptions]
        lines += [
            "   loyalty-desk till verify: every journal is sound and signed",
            f"   loyalty-server {self.verified}",
        ]
        return "\n".join(lines)


def _shown(figure: int | str) -> str:
    return figure if isinstance(figure, str) else formats.number(figure, 0, "en")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text; a column whose caption begins with `>` is set to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for caption in columns:
        made.add_column(caption.lstrip(">"), justify="right" if caption.startswith(">") else "left", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    written = io.StringIO()
    Console(file=written, width=WIDTH, color_system=None, highlight=False).print(made)
    return "\n".join(f"   {line}".rstrip() for line in written.getvalue().rstrip().splitlines())
