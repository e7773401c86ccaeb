"""A day of the second store, whose network is cut at noon, and the statement that proves it afterwards.

Two tills sell through a cable that is pulled. One guest walks from one to the other with the phone and pays with the
same points at both: neither till can know. What that may cost is bounded (INV-14), it comes out
when the tills are back, and the statement holds what it cost against the bound.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from loyalty_desk.demo.cable import Cable
from loyalty_desk.demo.line import CASHIER, PIN, NotSo, counted
from loyalty_desk.demo.processes import ProcessFailed, run, run_json
from loyalty_desk.demo.stage import DemoGuest, Stage, kept_port
from loyalty_desk.demo.statement import Statement, table
from loyalty_desk.demo.terminal_till import TerminalTill
from loyalty_desk.services import formats
from loyalty_desk.services.redemption import overdraft_bound
from loyalty_desk.wire.v1.rows import ProfileRow

CABLE_PORT = 18_766
# A check of which 500 points are less than the 30% that may be paid with points, whatever the guest's tier takes off.
DEAR_CHECK = "2400"
# Less than two tills let pass: two of them overdraw whoever has so many points.
WEALTH = range(550, 1_000)
# Till, guest (its place in the list, None for nobody), check.
type Plan = tuple[tuple[int, int | None, str], ...]
MORNING: Plan = ((0, 0, "1240"), (1, 1, "560.50"), (0, None, "320"), (1, 2, "4100"))
CUT_OFF: Plan = ((0, 1, "980"), (1, None, "215.90"), (1, 0, "1770"))
EVENING: Plan = ((0, 2, "650"), (1, 1, "1130"))


@dataclass(frozen=True, slots=True)
class Sold:
    """A sale of the day as its till recorded it."""

    till: TerminalTill
    who: str
    answer: dict[str, object]
    is_offline: bool

    def figure(self, name: str) -> int:
        """Return one of its numbers."""
        return int(cast("int", self.answer[name]))


@dataclass
class Day:
    """One performance. Short, it sells what the overdraft needs and one check more at each till."""

    stage: Stage
    guests: list[DemoGuest]
    say: Callable[[str], None] = print
    short: bool = False
    sold: list[Sold] = field(default_factory=list)
    _left: dict[str, int] = field(default_factory=dict)
    _limits: dict[str, int] = field(default_factory=dict)

    def play(self) -> Statement:
        """Play it and return the statement; raises `NotSo` where the statement does not hold, after it was told."""
        if not self.stage.audited:
            self.stage.audit()
        before = self.stage.counted("sales")
        port = kept_port(self.stage.folder / "cable-port", CABLE_PORT if self.stage.port >= CABLE_PORT - 1 else 0)
        with Cable(port, self.stage.port) as cable:
            first, second = self._open(cable)
            tills = (first, second)
            guest = self._who_overdraws()
            balance = first.points(guest.card)
            self._sell_all(MORNING, tills, cut_off=False)
            self._exchange(tills)
            self.say(f"   {guest.name} begins with {counted(balance)} points, as both tills know.")

            self.say("2. Noon: the store's network is cut. Both tills sell on.")
            cable.pull()
            self._sell_all(CUT_OFF, tills, cut_off=True)
            self._overdraw(tills, guest)
            self._waiting(tills)

            self.say("3. The network is back. Each till sends what waited.")
            cable.plug()
            self._exchange(tills)
            if not self.short:
                self._sell_all(EVENING, tills, cut_off=False)
            self.say("4. The shifts are closed: each till prints its Z report in its cashier's language.")
            for report in _at_once(tills, TerminalTill.close_shift):
                self.say(_indented(report) + "\n")
            self._exchange(tills)
            self._exchange(tills)  # What the server has worked out of the first comes with the second.
            self._sales_told()
            self._notices(tills)
            statement = self._statement(tills, guest, balance, before)
        self.say("")
        self.say(statement.text())
        if statement.differs():
            raise NotSo("the two sides differ: " + "; ".join(statement.differs()))
        return statement

    # -- the morning

    def _open(self, cable: Cable) -> tuple[TerminalTill, TerminalTill]:
        place = self.stage.folder
        tills = (
            TerminalTill(place / "till-2", "Till 2", "ru", self.stage.environment),
            TerminalTill(place / "till-3", "Till 3", "en", self.stage.environment),
        )
        self.say("1. Next door, the second store opens: two tills worked from a terminal, online.")
        for till in tills:
            if not till.is_enrolled():
                self.stage.pair(
                    till.environment, self.stage.stores[1], "--address", cable.address, name=till.name
                )  # fmt: skip
        self._exchange(tills)
        for till, opened in zip(tills, _at_once(tills, lambda one: one.open_shift(CASHIER, PIN)), strict=True):
            self.say(f"   {till.name}: {opened}")
        return tills

    def _who_overdraws(self) -> DemoGuest:
        """Return somebody whose points two tills can overdraw; who did in an earlier run is in debt."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "guests.csv"
            run("loyalty-server", ["guests", "export", str(path)], self.stage.environment)
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    if int(row["points"]) in WEALTH and row["card"]:
                        found = DemoGuest(row["name"], row["card"], row["member_no"], int(row["points"]))
                        self._phone(found)  # Tills have to hear of it before they are cut off.
                        return found
        raise NotSo("no guest of the demo has points that two tills could overdraw; `make clean-demo` begins afresh")

    def _phone(self, guest: DemoGuest) -> str:
        """Return the code that the guest's phone shows now; it needs no network for that."""
        made = run_json("loyalty-server", ["guests", "code", guest.card, "--kind", "ld4"], self.stage.environment)
        return str(cast("list[str]", made["codes"])[0])

    # -- selling

    def _sell_all(self, plan: Plan, tills: tuple[TerminalTill, TerminalTill], *, cut_off: bool) -> None:
        def at(till: TerminalTill) -> list[Sold]:
            mine = [one for one in plan if tills[one[0]] is till]
            return [
                self._sale(till, None if who is None else self.guests[who], amount, cut_off=cut_off)
                for _, who, amount in (mine[:1] if self.short else mine)
            ]

        for sold in _at_once(tills, at):
            self.sold += sold

    def _sale(
        self,
        till: TerminalTill,
        guest: DemoGuest | None,
        amount: str,
        code: str = "",
        points: int = 0,
        *,
        cut_off: bool,
    ) -> Sold:
        code = code or ("" if guest is None else guest.card)
        return Sold(till, "—" if guest is None else guest.name, till.sell(amount, code, points), cut_off)

    def _overdraw(self, tills: tuple[TerminalTill, TerminalTill], guest: DemoGuest) -> None:
        first, second = tills
        self._limits = cast("dict[str, int]", first.status()["limits"])
        most = self._limits["a_check"]
        self.sold.append(self._sale(first, guest, DEAR_CHECK, self._phone(guest), most, cut_off=True))
        self.say(
            f"   {guest.name} pays with {counted(most)} points at {first.name}, by the phone's code, and asks for more."
        )
        code = self._phone(guest)
        for language in ("ru",) if self.short else ("ru", "en"):
            self.say(f"   {first.name} refuses: {first.refusal(DEAR_CHECK, code, most, language)}")
        self.sold.append(self._sale(second, guest, DEAR_CHECK, self._phone(guest), most, cut_off=True))
        self.say(f"   {second.name} has heard nothing of it and lets {counted(most)} points pass as well.")

    # -- the network

    def _exchange(self, tills: tuple[TerminalTill, ...]) -> None:
        for till, answer in zip(tills, _at_once(tills, TerminalTill.sync), strict=True):
            if not answer["done"]:
                raise NotSo(f"{till.name} could not exchange with the server: {answer['error']}")
            self._left[till.name] = cast("int", answer["waiting"])

    def _waiting(self, tills: tuple[TerminalTill, ...]) -> None:
        answers = list(zip(tills, _at_once(tills, TerminalTill.sync), strict=True))
        for till, answer in answers:
            if answer["online"]:
                raise NotSo(f"{till.name} reaches the server although the cable is pulled")
        said = ", ".join(f"{till.name} {answer['waiting']}" for till, answer in answers)
        self.say(f"   Nobody answers; waiting to be sent: {said}.")

    # -- what it came to

    def _sales_told(self) -> None:
        rows = [
            (
                sold.till.name,
                "cut off" if sold.is_offline else "online",
                str(sold.answer["receipt"]),
                sold.who,
                _money(sold.figure("gross")),
                counted(-sold.figure("redeemed_points")) if sold.figure("redeemed_points") else "",
                _money(sold.figure("total")),
                f"+{counted(sold.figure('earned_points'))}",
            )
            for sold in self.sold
        ]
        self.say("")
        columns = ("Till", "Network", "Receipt", "Guest", ">Check", ">Points", ">To pay", ">Earned")
        self.say(table("The day's sales", columns, rows))

    def _notices(self, tills: tuple[TerminalTill, ...]) -> None:
        for till, lines in zip(tills, _at_once(tills, TerminalTill.notices), strict=True):
            for line in lines:
                self.say(f"   {till.name} {line}")

    def _statement(
        self, tills: tuple[TerminalTill, ...], guest: DemoGuest, balance: int, sales_before: int
    ) -> Statement:  # fmt: skip
        environment = self.stage.environment
        here = TerminalTill(self.stage.till_dir, "Till 1", "en", environment)
        every = (here, *tills) if here.is_enrolled() else tills
        self._exchange(every[:-2])  # Whoever closed the window with something waiting has not sent it.
        audit = self.stage.audit()
        proofs = _at_once(every, TerminalTill.proof)
        listed = cast("list[dict[str, object]]", run_json("loyalty-server", ["till", "list"], environment)["tills"])
        ledger = run_json("loyalty-server", ["statement", "--guest", guest.card], environment)
        noted = run_json("loyalty-server", ["exceptions", "list", "--kind", "OVERDRAFT"], environment)["exceptions"]
        mine = [one for one in cast("list[dict[str, object]]", noted) if str(one["guest"]) == str(ledger["guest"])]
        moved = sum(
            one.figure("earned_points") - one.figure("redeemed_points") for one in self.sold if one.who == guest.name
        )
        statement = Statement()
        posted = self.stage.counted("sales") - sales_before
        statement.hold("Sales of the day", len(self.sold), posted)
        statement.hold("Set aside (quarantine)", 0, self.stage.counted("quarantined"))
        for till, proof in zip(every, proofs, strict=True):
            if proof["bad"] is not None or not proof["signed"]:
                raise ProcessFailed(f"the journal of {till.name} is not in order: {proof['bad']}")
            heads = _heads(proof["epochs"])
            statement.hold(f"Head of {till.name}: record, hash", heads, _server_heads(listed, heads))
            statement.hold(f"Waiting at {till.name}", self._left[till.name], 0)
        statement.hold(f"Points of {guest.name}", balance + moved, cast("int", ledger["balance"]))
        for till, known in zip(tills, _at_once(tills, lambda one: one.points(guest.card)), strict=True):
            statement.hold(f"… as {till.name} knows them", known, cast("int", ledger["balance"]))
        statement.hold("Sum of all entries", 0, self.stage.counted("sum_of_entries"))
        overdraft = max(0, -cast("int", ledger["balance"]))
        statement.overdraft(guest.name, overdraft, self._bound(len(tills), balance), [_facts(one) for one in mine])
        statement.verified = str(audit["line"])
        return statement

    def _bound(self, tills: int, balance: int) -> int:
        profile = ProfileRow(
            mode=str(self._limits["mode"]),
            floor_points=self._limits["a_check"],
            split_sale_points=self._limits["a_guest"],
            upper_consecutive=self._limits["times_a_guest"],
        )
        return overdraft_bound(profile, tills, balance)


def _at_once[T](tills: Sequence[TerminalTill], act: Callable[[TerminalTill], T]) -> list[T]:
    """Do the same at every till at the same time, as cashiers do, and return what came of it in the tills' order."""
    with ThreadPoolExecutor(len(tills)) as hands:
        return list(hands.map(act, tills))


type _Heads = list[dict[str, object]]


def _heads(found: object) -> str:
    """Return every epoch's last record and the beginning of its hash."""
    return ", ".join(f"{one['head_seq']} {str(one['head'])[:16]}" for one in cast("_Heads", found))


def _server_heads(listed: list[dict[str, object]], expected: str) -> str:
    """Return the heads that the server has of the till with these; it has none where a journal differs."""
    return expected if expected in [_heads(one["heads"]) for one in listed] else "not there"


def _facts(exception: dict[str, object]) -> str:
    facts = cast("dict[str, object]", exception["facts"])
    return f"{exception['kind']} ({', '.join(f'{name} {value}' for name, value in facts.items())})"


def _money(kopecks: int) -> str:
    return formats.number(kopecks, 2, "en")


def _indented(text: str) -> str:
    return "\n".join(f"      {line}".rstrip() for line in text.splitlines())
