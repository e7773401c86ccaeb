"""F8: register a guest in a quarter of a minute, with the server or without."""

from __future__ import annotations

import re
from datetime import date

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.private_fields import GuestFields
from loyalty_desk.services.counter_lines import registered_line
from loyalty_desk.services.registration import Registered
from loyalty_desk.ui.counter.page import Page
from loyalty_desk.ui.counter.state import CounterState, Fact, Group, Option

PHONE, NAME, BIRTHDAY, CARD, CONSENT = "phone", "name", "birthday", "card", "consent"
# The version of the sentence on the page; another sentence needs another one, for records keep it.
CONSENT_VERSION = "desk-1"
_DATE = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})|(\d{4})-(\d{2})-(\d{2})")


class RegisterPage(Page):
    """Phone or name, a new card if one is handed out, and the guest's yes."""

    name = "F8"

    def begin(self) -> None:
        self._done: Registered | None = None

    def state(self) -> CounterState:
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

    def choose(self, group: str, key: str) -> None:
        if not self.is_busy and group == CONSENT and self.chosen.get(CONSENT) == key:
            del self.chosen[CONSENT]
            return
        super().choose(group, key)

    def scanned(self, text: str) -> None:
        self.typed(CARD, text)

    def submit(self) -> None:
        if self.chosen.get(CONSENT) != "yes" or not (self.text(PHONE) or self.text(NAME)):
            return
        try:
            born = _date(self.text(BIRTHDAY))
        except BadInput as error:
            self.refused(error)
            return
        fields = GuestFields(
            name=self.text(NAME), phone=self.text(PHONE), birthday=born, language=self.words.language
        )  # fmt: skip
        card, registration = self.text(CARD), self.around.cases.registration
        self.record(lambda: registration.register(fields, CONSENT_VERSION, card), self._registered)

    def _registered(self, done: Registered) -> None:
        self.recorded()
        self.around.found(done.card)
        self.around.leave()
        self._done = done

    def farewell(self) -> str:
        """Return what the sale screen says once a guest is registered, empty where none was."""
        return registered_line(self._done, self.words) if self._done is not None else ""


def _date(text: str) -> date | None:
    """Return a date as people write one; raises `BadInput` `register_birthday`."""
    if not text:
        return None
    found = _DATE.fullmatch(text)
    if found is None:
        raise BadInput("register_birthday")
    day, month, year, iso_year, iso_month, iso_day = found.groups()
    try:
        return date(int(year or iso_year), int(month or iso_month), int(day or iso_day))
    except ValueError:
        raise BadInput("register_birthday") from None
