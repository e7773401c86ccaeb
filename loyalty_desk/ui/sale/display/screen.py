"""The whole screen, and the sentences that a presenter asks for."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from loyalty_desk.domain.money import currency
from loyalty_desk.services.explanation import explain
from loyalty_desk.services.sentences import limit_reason, sentence
from loyalty_desk.services.wording import Words
from loyalty_desk.ui.sale.display.check import check, recorded
from loyalty_desk.ui.sale.display.controls import button, field, help_panel, keys, message, preview
from loyalty_desk.ui.sale.display.guest import guest
from loyalty_desk.ui.sale.display.header import header, notice, notice_to_read
from loyalty_desk.ui.sale.display.names import guest_name
from loyalty_desk.ui.sale.display.points import why_no_points
from loyalty_desk.ui.sale.state import MessageState, SaleState, Tone

if TYPE_CHECKING:
    from loyalty_desk.domain.errors import ForPerson
    from loyalty_desk.domain.quote import Note
    from loyalty_desk.services.checkout import GuestCard
    from loyalty_desk.ui.sale.model import SaleModel


class Display:
    """Makes states, and keeps the words of the language in use."""

    def __init__(self) -> None:
        self._words: tuple[tuple[object, ...], Words] | None = None

    def words(self, model: SaleModel) -> Words:
        """Return the words for the model's language, currency, points and zone."""
        status, program = model.status, model.program
        code = program.currency if program else status.currency if status else "RUB"
        zone = status.zone if status else "UTC"
        key = (model.language, code, program.point_decimals if program else 0, zone)
        if self._words is None or self._words[0] != key:
            made = Words(model.language, of=currency(code), point_decimals=key[2], zone=zone_of(zone))
            self._words = (key, made)
        return self._words[1]

    def state(self, model: SaleModel, now: datetime) -> SaleState:
        """Return the whole screen."""
        words = self.words(model)
        t = words.gettext
        return SaleState(
            phase=model.phase,
            title="Loyalty Desk",
            header=header(model, words, now),
            notice=notice(model, words, now),
            notice_read_label=t("Understood") if notice_to_read(model) is not None else "",
            check=check(model, words, now),
            guest=guest(model, words, now),
            done=recorded(model.done, model.program, words) if model.done else None,
            preview=preview(model, words),
            entry=field(model, words),
            message=message(model, words),
            button=button(model, words),
            keys=keys(model, words),
            help=help_panel(words) if model.help_open else None,
            language_label=model.language.upper(),
            language_tip=t("Language: switch to English")
            if model.language == "ru"
            else t("Language: switch to Russian"),
            theme_label="☀" if model.theme == "light" else "●",
            theme_tip=t("Theme: switch to dark") if model.theme == "light" else t("Theme: switch to light"),
        )

    # -- sentences the presenter asks for

    def no_points(self, model: SaleModel) -> MessageState:
        """Return why points cannot be typed now, empty where they can."""
        return MessageState(why_no_points(model, self.words(model)), Tone.INFO)

    def why_not(self, model: SaleModel, key: str) -> MessageState:
        """Return why a key of the bar does nothing now; its tip is seen by no finger."""
        tip = next((one.tip for one in keys(model, self.words(model)) if one.key == key and not one.enabled), "")
        return MessageState(tip, Tone.INFO)

    def guest_changed(self, model: SaleModel, card: GuestCard) -> MessageState:
        """Return the sentence for another guest's card on an open check."""
        words = self.words(model)
        return MessageState(words.gettext("The guest is now {name}.").format(name=guest_name(card, words)), Tone.INFO)

    def code_taken(self, model: SaleModel, code: str, note: Note) -> MessageState:
        """Return the sentence for a promo code that the program knows, whether or not it helps this check."""
        words = self.words(model)
        if note.applied:
            return MessageState(words.gettext("Promo code {code} applied.").format(code=code), Tone.GOOD)
        why = explain(note, words)
        text = words.gettext("Promo code {code} is known, but does not apply to this check. {why}")
        return MessageState(text.format(code=code, why=why).strip(), Tone.INFO)

    def copied(self, model: SaleModel) -> MessageState:
        """Return the sentence for a discount in the clipboard."""
        return MessageState(self.words(model).gettext("The discount is copied. Paste it into the POS."), Tone.GOOD)

    def our_fault(self, model: SaleModel) -> MessageState:
        """Return the one calm sentence for a fault of ours."""
        t = self.words(model).gettext
        return MessageState(
            t("Something went wrong in the program; a report is saved. Recorded sales are safe. Try again."), Tone.BAD
        )

    def refusal(self, error: ForPerson, model: SaleModel) -> str:
        """Return the sentence for a sale that was not recorded."""
        words = self.words(model)
        if error.code == "redemption_refused":
            why = limit_reason(str(error.facts.get("reason") or ""), error.facts, words)
            return sentence(type(error)(error.code, **{**error.facts, "why": why}), words)
        return sentence(error, words)


def zone_of(name: str) -> tzinfo:
    """Return a time zone; UTC for a name that this machine does not know, so that the till sells all the same."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC
