"""The whole line, played and checked: scan, guest, amount, points, confirm, posted; the server gone and back.

`make demo` plays it where there is no display, the end-to-end test plays it always. Every step looks at what the window
shows and at what the ledger says; a step that is not so raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from loyalty_desk.demo.stage import DemoGuest, Stage
from loyalty_desk.demo.till_process import State, TillProcess
from loyalty_desk.services import formats

CASHIER, PIN = "Анна Кассирова", "1111"
# What the page of the shift says of it, in either language.
OPEN = ("open", "открыта")


class NotSo(AssertionError):
    """Something on the way was not as it must be."""


@dataclass
class Story:
    """What was done and seen, as numbered pictures and sentences in `folder`."""

    folder: Path
    say: Callable[[str], None] = print
    lines: list[str] = field(default_factory=list)
    pictures: int = 0

    def tell(self, text: str) -> None:
        """Add a sentence."""
        self.lines.append(text)
        self.say(text)
        self.write()

    def write(self) -> None:
        """Put the transcript where the pictures are."""
        (self.folder / "transcript.txt").write_text("\n".join(self.lines) + "\n", encoding="utf-8")

    def picture(self, till: TillProcess, name: str) -> Path:
        """Keep a picture of the window as it stands."""
        self.pictures += 1
        path = self.folder / f"{self.pictures:02d}-{name}.png"
        till.do("grab", path=str(path))
        return path


@dataclass
class Line:
    """One performance. `guests` are the demo's, richest last."""

    stage: Stage
    till: TillProcess
    story: Story
    guests: list[DemoGuest]

    def play(self) -> str:
        """Play it all and return the last line of `verify`."""
        frequent, guest, rich = self.guests[-3:]
        people = (frequent, guest, rich)
        self.till.start()
        self.wait_posted()  # what an interrupted run left behind is posted before anything is counted
        before = {one.member_no: self.ledger_points(one) for one in people}
        moved = dict.fromkeys(before, 0)
        self.open_shift()
        self.story.picture(self.till, "ready")

        self.story.tell(f"1. Online: {guest.name} holds a card before the camera.")
        moved[guest.member_no] += self.sell(guest, "1240", points=100, pictures=True)
        self.wait_posted()
        self.story.picture(self.till, "posted")
        self.story.tell("   Posted: nothing waits.")

        self.story.tell("2. The server is stopped. Three more sales, one of them with points, and one refusal.")
        self.stage.server.stop()
        moved[frequent.member_no] += self.sell(frequent, "560.50")
        # Until it knows, the till would ask for the points, and now and then wait for an answer on purpose.
        self.wait(lambda now: not facts(now)["online"], "the window offline", seconds=60)
        moved[rich.member_no] += self.sell(rich, "2 300,00", points=100)
        moved[guest.member_no] += self.sell_after_a_refusal(guest, "980", points=100)
        shown = self.wait(lambda now: facts(now)["waiting"] == 3 and not facts(now)["online"], "3 waiting, offline")
        self.story.picture(self.till, "offline-three-waiting")
        self.story.tell(f"   The window says: {text(shown, 'header', 'waiting')}, {text(shown, 'header', 'link')}")

        self.story.tell("3. The server is started again.")
        self.stage.server.start()
        self.send_now()
        self.wait_posted()
        self.story.picture(self.till, "all-posted")
        for one in people:
            self.both_sides_agree(one, before[one.member_no] + moved[one.member_no])
        self.close_shift()
        self.wait_posted()
        self.till.stop()
        last = self.stage.verify()
        self.story.lines.append(last)
        self.story.write()
        return last

    def open_shift(self) -> None:
        """F10, the cashier's name, the PIN, Enter; a shift that an interrupted run left open goes on."""
        self.till.do("key", key="F10")
        shown = self.wait(lambda now: bool(page(now, "title")) and page(now, "place") != "", "the shift's page")
        if page(shown, "place") not in OPEN:
            self.till.do("click", button=CASHIER)
            self.till.do("type", text=PIN)
            # Digits and Enter at a machine's pace are a scanner's; a person's pause makes them a PIN.
            self.wait(lambda now: bool(page(now, "button")), "the PIN typed")
            self.till.do("key", key="Enter")
            shown = self.wait(lambda now: facts(now)["page"] is None, "the sale in front")
            said = cast("dict[str, str]", shown["message"])["text"]
            self.story.tell(f"0. {CASHIER} opens the shift: {said}")
            return
        self.till.do("key", key="Escape")
        self.wait(lambda now: facts(now)["page"] is None, "the sale in front")

    def send_now(self) -> None:
        """F12, F7: do not wait until the pause after so many failures is over."""
        self.till.do("key", key="F12")
        self.wait(lambda now: bool(page(now, "title")), "the till's page")
        self.till.do("key", key="F7")
        self.till.do("key", key="Escape")
        self.wait(lambda now: facts(now)["page"] is None, "the sale in front")

    def close_shift(self) -> None:
        """F10, F9, Enter: the Z report."""
        self.till.do("key", key="F10")
        self.wait(lambda now: page(now, "place") in OPEN, "the shift's page")
        self.till.do("key", key="F9")
        self.wait(lambda now: "Z" in page(now, "button"), "the closing asked about")
        self.till.do("key", key="Enter")
        shown = self.wait(lambda now: page(now, "place") not in OPEN, "the shift closed")
        self.story.picture(self.till, "z-report")
        self.story.tell(f"4. The shift is closed: {page(shown, 'message')}")
        self.till.do("key", key="Escape")
        self.wait(lambda now: facts(now)["page"] is None, "the sale in front")

    def sell(self, guest: DemoGuest, amount: str, *, points: int = 0, pictures: bool = False) -> int:
        """Sell to a guest by card and return what the guest's points moved by."""
        self.scan(guest)
        if pictures:
            self.story.picture(self.till, "guest")
        self.enter_amount(amount)
        if pictures:
            self.story.picture(self.till, "check")
        if points:
            self.ask_for_points(points)
            self.wait(lambda now: facts(now)["redeems"] == points, f"{points} points taken off")
            if pictures:
                self.story.picture(self.till, "points")
        return self.confirm(guest, by_mouse=pictures)

    def sell_after_a_refusal(self, guest: DemoGuest, amount: str, points: int) -> int:
        """Ask for points by a number that anybody could say, read the reason out, sell without points."""
        self.till.do("type", text=guest.member_no)
        self.till.do("key", key="Enter")
        self.wait(lambda now: facts(now)["guest"] == guest.name, f"{guest.name} found by number")
        self.enter_amount(amount)
        self.ask_for_points(points)
        refused = self.wait(lambda now: facts(now)["redeems"] == 0 and bool(text(now, "guest", "limit")), "the refusal")
        self.story.picture(self.till, "refused")
        reason = text(refused, "guest", "limit")
        self.story.tell(
            f"   {guest.name} says the member number and asks for {counted(points)} points. Refused: {reason}"
        )
        self.till.do("key", key="Escape")
        self.wait(lambda now: not text(now, "entry"), "the amount field again")
        return self.confirm(guest)

    def scan(self, guest: DemoGuest) -> None:
        """Hold the guest's card before the camera until the window greets them, and take it away."""
        self.till.do("show", code=guest.card)
        self.wait(lambda now: facts(now)["guest"] == guest.name, f"{guest.name} read from the camera")
        self.till.do("show", code="")
        # A card that is still in view when the sale is done would begin the next one.
        self.wait(lambda now: bool(facts(now)["camera_empty"]), "the card out of view")

    def enter_amount(self, amount: str) -> None:
        """Type what the POS says the check costs."""
        self.till.do("type", text=amount)
        self.wait(lambda now: bool(text(now, "check", "to_pay")), "the check priced")

    def ask_for_points(self, points: int) -> None:
        """F4, the number, Enter."""
        self.till.do("key", key="F4")
        self.till.do("type", text=str(points))
        self.till.do("key", key="Enter")

    def confirm(self, guest: DemoGuest, *, by_mouse: bool = False) -> int:
        """Press the one big button and return what the guest's points moved by."""
        amount = text(self.till.state(), "check", "amount")
        if by_mouse:
            self.till.do("click", button="go")
        else:
            self.till.do("key", key="Enter")
        shown = self.wait(lambda now: now["phase"] == "done", "the sale done")
        self.story.picture(self.till, "done")
        done = cast("dict[str, int]", facts(shown)["done"])
        spent = f", {counted(-done['redeemed'])} points" if done["redeemed"] else ""
        self.story.tell(
            f"   {guest.name}: check {amount}, to key into the POS {text(shown, 'done', 'key_in')}, "
            f"to pay {text(shown, 'done', 'to_pay')}; +{counted(done['earned'])} points{spent}"
        )
        self.till.do("key", key="Enter")
        self.wait(lambda now: now["phase"] == "idle", "the next sale")
        return done["earned"] - done["redeemed"]

    def wait_posted(self) -> None:
        """Wait until the till is online, has its guests, and nothing waits."""
        self.wait(
            lambda now: bool(facts(now)["online"]) and facts(now)["waiting"] == 0 and bool(facts(now)["guests_loaded"]),
            "everything posted",
            seconds=180,
        )

    def both_sides_agree(self, guest: DemoGuest, expected: int) -> None:
        """Hold the till's and the ledger's points of a guest against what the sales add up to."""
        self.scan(guest)
        self.wait(lambda now: facts(now)["points"] == expected, f"{expected} points of {guest.name}")
        in_ledger = self.ledger_points(guest)
        if in_ledger != expected:
            raise NotSo(f"{guest.name}: the till says {expected} points, the ledger {in_ledger}")
        self.story.tell(f"   {guest.name}: {counted(expected)} points at the till and in the ledger.")
        self.till.do("key", key="Escape")
        self.wait(lambda now: now["phase"] == "idle", "an empty window")

    def ledger_points(self, guest: DemoGuest) -> int:
        """Return the guest's points as the ledger has them."""
        return int(cast("int", self.stage.statement(guest.member_no)["points"]))

    def wait(self, is_so: Callable[[State], bool], what: str, seconds: float = 20.0) -> State:
        """Look at the window until it is so; a window that is still opening is waited for."""
        return self.till.wait_for(lambda now: now.get("facts") is not None and is_so(now), what, seconds)


def counted(points: int) -> str:
    """Return a number as the English window writes it."""
    return formats.number(points, 0, "en")


def facts(state: State) -> dict[str, object]:
    """Return the numbers behind what the window shows."""
    return cast("dict[str, object]", state["facts"])


def page(state: State, what: str) -> str:
    """Return a text of the page over the sale, empty while the sale is in front."""
    shown = cast("dict[str, str] | None", facts(state)["page"])
    return shown[what] if shown else ""


def text(state: State, *path: str) -> str:
    """Return a text of the window; a badge's or a message's own text where the path ends at one."""
    found: object = state
    for name in path:
        found = cast("dict[str, object]", found).get(name) if found else None
    if isinstance(found, dict):
        found = found.get("text")
    return str(found or "")
