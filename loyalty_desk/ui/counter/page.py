"""What all pages have in common: one job at a time on the other thread, one sentence, choices and typed texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.services.pins import Member
from loyalty_desk.services.sentences import sentence
from loyalty_desk.services.slips import Place
from loyalty_desk.services.wording import Words
from loyalty_desk.ui.counter.ports import Surroundings
from loyalty_desk.ui.counter.state import MAX_TYPED, CounterState, Fact, Field, Group, Option
from loyalty_desk.ui.sale.ports import TaskRunner
from loyalty_desk.ui.sale.state import NO_MESSAGE, ButtonState, MessageState, Tone

WHO, PIN = "who", "pin"


class Page:
    """One page. A subclass says `state`, and what its choices, Enter and side keys do."""

    name: ClassVar[str] = ""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.texts: dict[str, str] = {}
        self.chosen: dict[str, str] = {}
        self.message = NO_MESSAGE
        self.is_busy = False
        self.is_recording = False
        self._turn = 0
        self._staff: tuple[Member, ...] = ()

    # -- for the presenter

    def begin(self) -> None:
        """Fetch what the page needs."""

    def state(self) -> CounterState:
        """Return what is to be seen."""
        raise NotImplementedError

    def typed(self, key: str, text: str) -> None:
        """Take what a field holds now."""
        self.texts[key] = text[:MAX_TYPED]
        self.message = NO_MESSAGE
        self.on_change(key)

    def choose(self, group: str, key: str) -> None:
        """Take a choice."""
        if self.is_busy:
            return
        self.chosen[group] = key
        self.message = NO_MESSAGE
        self.on_change(group)

    def submit(self) -> None:
        """Do what the big button says."""

    def press(self, key: str) -> None:
        """Do what a side key says."""

    def back(self) -> bool:
        """Take one step back and return True; False where there is none but to leave."""
        return False

    def on_change(self, key: str) -> None:
        """Hear that a text or a choice has changed."""

    def tick(self) -> None:
        """Hear that a second has passed."""

    def scanned(self, text: str) -> None:
        """Take a scanned code; a page that wants none says nothing."""

    def farewell(self) -> str:
        """Return what the sale screen says once this page is left, empty for nothing."""
        return ""

    def close(self) -> None:
        """Forget the answers under way and what was typed: a PIN outlives no page."""
        self._turn += 1
        self.texts.clear()

    # -- for subclasses

    @property
    def words(self) -> Words:
        """Return the words of the language in use."""
        return self.around.words()

    def text(self, key: str) -> str:
        """Return what was typed into a field."""
        return self.texts.get(key, "").strip()

    def work[T](self, job: Callable[[], T], done: Callable[[T], None], on: TaskRunner | None = None) -> None:
        """Do a job on the other thread, or `on` a third; meanwhile the page takes nothing. A refusal is said."""
        self._turn += 1
        turn, self.is_busy = self._turn, True

        def answered(result: T) -> None:
            if turn == self._turn:
                self.is_busy = self.is_recording = False
                done(result)
                self.around.redraw()

        def failed(error: Exception) -> None:
            if not isinstance(error, ForPerson):
                self.around.crashed(error)
            if turn == self._turn:
                self.is_busy = self.is_recording = False
                self.refused(error)
                self.around.redraw()

        (on or self.around.runner).run(job, answered, failed)

    def record[T](self, job: Callable[[], T], done: Callable[[T], None]) -> None:
        """As `work`, of what goes into the journal: nobody leaves before its answer, or it would be done twice."""
        self.is_recording = True
        self.work(job, done)

    def put_on_paper(self, name: str, lines_of: Callable[[int], Sequence[str]], done: Callable[[], None]) -> None:
        """Print a slip, or write it into a file where there is no printer, and say which."""

        def put(where: tuple[str, Path | None]) -> None:
            t, (printer, path) = self.words.gettext, where
            if path is None:
                self.say(t("Sent to the printer {printer}.").format(printer=printer))
            else:
                self.say(t("There is no printer here. The slip is written to {path}.").format(path=path), Tone.INFO)
            done()

        self.work(lambda: self.around.paper.put(name, lines_of), put, on=self.around.printing)

    @property
    def place(self) -> Place:
        """Return what stands at the head of a slip."""
        status = self.around.status()
        return Place("", "", "") if status is None else Place(status.network, status.store, status.till)

    def refused(self, error: Exception) -> None:
        """Say why something was not done; a PIN is typed anew."""
        self.texts.pop(PIN, None)
        if isinstance(error, ForPerson):
            self.say(self.sentence_of(error), Tone.WARN)
        else:
            self.say(self.words.gettext("Something went wrong in the program; a report is saved. Try again."), Tone.BAD)

    def sentence_of(self, error: ForPerson) -> str:
        """Return why something was not done."""
        return sentence(error, self.words)

    def say(self, text: str, tone: Tone = Tone.GOOD) -> None:
        """Show one sentence."""
        self.message = MessageState(text, tone)

    def recorded(self) -> None:
        """Let the rest of the till know that the journal has grown."""
        self.texts.pop(PIN, None)
        self.around.changed()

    def go(self, text: str, *, enabled: bool = True) -> ButtonState:
        """Return the big button; while a job runs it waits."""
        if self.is_busy:
            return ButtonState(self.words.gettext("One moment…"))
        return ButtonState(text, enabled)

    def field(self, key: str, label: str, placeholder: str = "") -> Field:
        """Return a field with what was typed into it."""
        return Field(key, label, self.texts.get(key, ""), placeholder)

    # -- staff

    def take_staff(self, members: Iterable[Member]) -> None:
        """Keep who may be chosen; one alone is chosen already."""
        self._staff = tuple(one for one in members if one.has_pin)
        if len(self._staff) == 1:
            self.chosen.setdefault(WHO, self._staff[0].id)

    @property
    def has_staff(self) -> bool:
        """Return whether anybody with a PIN is known here."""
        return bool(self._staff)

    @property
    def is_signed(self) -> bool:
        """Return whether somebody is chosen and a PIN is there to be looked at."""
        return WHO in self.chosen and bool(self.text(PIN))

    def say_what_is_missing(self) -> None:
        """Say what Enter waits for where nobody is chosen or no PIN is typed yet."""
        t = self.words.gettext
        self.say(t("Type the PIN.") if WHO in self.chosen else t("First choose who you are: ↑ ↓ and Enter."), Tone.INFO)

    def who_group(self, label: str, *, is_right: bool = False) -> Group:
        """Return the list of people to choose from."""
        roles = {
            "cashier": self.words.gettext("cashier"),
            "manager": self.words.gettext("manager"),
            "owner": self.words.gettext("owner"),
        }
        options = [
            Option(one.id, one.name, roles.get(one.role, one.role), self.chosen.get(WHO) == one.id)
            for one in self._staff
        ]
        return Group(WHO, label, tuple(options), 2, is_right)

    def pin_field(self, *, is_right: bool = False) -> Field:
        """Return the field of the PIN."""
        return Field(PIN, self.words.gettext("PIN"), self.texts.get(PIN, ""), secret=True, is_right=is_right)


def facts_of(lines: Iterable[tuple[str, str]], strong: str = "") -> tuple[Fact, ...]:
    """Return a report's lines; the one whose caption is `strong` stands out."""
    return tuple(Fact(caption, value, strong=bool(strong) and caption == strong) for caption, value in lines)
