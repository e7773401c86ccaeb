"""F8: register a guest in a quarter of a minute, with the server or without."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from loyalty_desk.domain.errors import BadInput, ForPerson
from loyalty_desk.domain.private_fields import GuestFields
from loyalty_desk.services.code_picture import Modules, modules_of
from loyalty_desk.services.counter_lines import registered_line
from loyalty_desk.services.guests import GuestCard
from loyalty_desk.services.registration import Registered, birthday_of
from loyalty_desk.ui.counter.page import Page
from loyalty_desk.ui.counter.state import CounterState, Fact, Group, Option, ShownCode
from loyalty_desk.ui.sale.state import Tone

PHONE, NAME, BIRTHDAY, CARD, CONSENT = "phone", "name", "birthday", "card", "consent"
# The version of the sentence on the page; another sentence needs another one, for records keep it.
CONSENT_VERSION = "desk-1"


@dataclass(frozen=True, slots=True)
class _Made:
    """What was recorded; `modules` of the card's code where the guest was handed none."""

    done: Registered
    code: str
    modules: Modules


class RegisterPage(Page):
    """Phone or name, a new card if one is handed out, and the guest's yes; then, without one, a card to photograph."""

    name = "F8"

    def begin(self) -> None:
        self._done: Registered | None = None
        self._code = ""
        self._modules: Modules = ()
        self._card: GuestCard | None = None
        self._synced_at: datetime | None = None

    def state(self) -> CounterState:
        if self._card is not None:
            return self._shown(self._card)
        t = self.words.gettext
        agreed = self.chosen.get(CONSENT) == "yes"
        agrees = Option("yes", t("Agrees"), "", agreed)
        status = self.around.status()
        text = t(
            "I agree that {network} keeps my name, phone and birthday to count my points and discounts. "
            "I can ask for them to be erased at any time."
        ).format(network=(status.network if status else "") or t("this network"))
        return CounterState(
            t("New guest"),
            # Under the text itself, and in sight where the fields scroll.
            groups=(Group(CONSENT, t("The guest has read the text or heard it"), (agrees,), 1, is_right=True),),
            fields=(
                self.field(PHONE, t("Phone"), "+7 916 123-45-67"),
                self.field(NAME, t("Name")),
                self.field(BIRTHDAY, t("Birthday, if the guest wants to tell"), "31.12.1990"),
                self.field(CARD, t("New card: scan it, or leave empty")),
            ),
            facts_label=t("Read out or turn the screen:"),
            facts=(Fact(text),),
            button=self.go(t("Register"), enabled=agreed and bool(self.text(PHONE) or self.text(NAME))),
            focus=PHONE,
            fields_first=True,
        )

    def _shown(self, card: GuestCard) -> CounterState:
        """Return the new card on the screen: the guest photographs it and shows the photograph from now on."""
        t = self.words.gettext
        later = t("The member number comes with the next sync with the server.")
        how = t("Whoever has a copy can earn with it, and use a few points: it is like a card of plastic.")
        facts = (Fact(how),) if card.member_no else (Fact(later), Fact(how))
        return CounterState(
            t("The guest’s card"),
            card.name,
            facts_label=t("Turn the screen: the guest photographs the code and shows the picture next time."),
            facts=facts,
            code=ShownCode(self._modules, self._grouped(card.member_no)),
            button=self.go(t("Back to the sale")),
        )

    @staticmethod
    def _grouped(number: str) -> str:
        return f"{number[:3]} {number[3:6]} {number[6:]}".replace(" ", "\u00a0").strip("\u00a0")

    def tick(self) -> None:
        """Ask anew who the guest is once the till has synced: then the number is there."""
        status, card = self.around.status(), self._card
        if card is None or card.member_no or status is None or status.synced_at in (None, self._synced_at):
            return
        self._synced_at, guests, turn = status.synced_at, self.around.cases.guests, self._turn

        def take(fresh: GuestCard) -> None:
            if turn == self._turn:
                self._card = fresh
                self.around.redraw()

        def failed(error: Exception) -> None:
            if not isinstance(error, ForPerson):
                self.around.crashed(error)

        self.around.runner.run(lambda: guests.refresh(card), take, failed)

    def choose(self, group: str, key: str) -> None:
        if not self.is_busy and group == CONSENT and self.chosen.get(CONSENT) == key:
            del self.chosen[CONSENT]
            return
        super().choose(group, key)

    def scanned(self, text: str) -> None:
        if self._card is None:
            self.typed(CARD, text)
        elif text == self._code:
            self.say(self.words.gettext("The code can be read."))

    def submit(self) -> None:
        if self._card is not None:
            self.around.leave()
            return
        if not (self.text(PHONE) or self.text(NAME)):
            self.refused(BadInput("register_nothing"))
            return
        if self.chosen.get(CONSENT) != "yes":
            self.say(self.words.gettext("Read the text to the guest; “Agrees” is chosen by ↓ and Enter."), Tone.INFO)
            return
        try:
            born = birthday_of(self.text(BIRTHDAY))
        except BadInput as error:
            self.refused(error)
            return
        fields = GuestFields(
            name=self.text(NAME), phone=self.text(PHONE), birthday=born, language=self.words.language
        )  # fmt: skip
        card, registration = self.text(CARD), self.around.cases.registration

        def register() -> _Made:
            # Drawn before it is recorded: whatever fails afterwards would look as if nobody had been registered.
            code = card or registration.new_card()
            modules = () if card else modules_of(code)
            return _Made(registration.register(fields, CONSENT_VERSION, code), code, modules)

        self.record(register, self._registered)

    def _registered(self, made: _Made) -> None:
        self.recorded()
        self.around.found(made.done.card)
        self._done, self._code, self._modules = made.done, made.code, made.modules
        if made.modules:
            status = self.around.status()
            self._card, self._synced_at = made.done.card, None if status is None else status.synced_at
        else:
            self.around.leave()

    def farewell(self) -> str:
        """Return what the sale screen says once a guest is registered, empty where none was."""
        return registered_line(self._done, self.words) if self._done is not None else ""
