"""What an audit counts and finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be: which invariant, where, and what."""

    rule: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.place}: {self.text}"


@dataclass(slots=True)
class Counted:
    """What was read. `lost` are sequence numbers below a head that nobody holds, `doubled` held more than once.

    `sum_of_entries` over all accounts is 0 in a ledger that balances: nothing comes from nowhere.
    """

    records: int = 0
    sales: int = 0
    entries: int = 0
    sum_of_entries: int = 0
    quarantined: int = 0
    guests: int = 0
    lost: int = 0
    doubled: int = 0
    waiting_to_be_priced: int = 0
    exceptions: int = 0


@dataclass(slots=True)
class Audit:
    """The result of one network; no findings: everything holds. At most 100 are kept, all are counted."""

    network: UUID
    counted: Counted = field(default_factory=Counted)
    findings: list[Finding] = field(default_factory=list)
    found: int = 0

    def note(self, rule: str, place: str, text: str) -> None:
        """Keep a finding."""
        self.found += 1
        if len(self.findings) < _SHOWN:
            self.findings.append(Finding(rule, place, text))


def last_line(audits: Sequence[Audit]) -> str:
    """Return the one sentence that says it all."""
    total = sum(one.found for one in audits)
    sales, lost, doubled = (sum(getattr(one.counted, name) for one in audits) for name in ("sales", "lost", "doubled"))
    if total:
        first = next(finding for one in audits for finding in one.findings)
        return f"verify: FAILED, {total} findings, first: {first}"
    return f"verify: ok, {sales} sales, {lost} lost, {doubled} doubled, ledger balanced"
