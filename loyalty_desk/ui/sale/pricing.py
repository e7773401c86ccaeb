"""What the check costs as it stands: the field read, the check priced, a promo code tried. Models in, models out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.services.checkout import CheckDraft
from loyalty_desk.ui.sale.entry import NOTHING_TYPED, Reading, read_entry
from loyalty_desk.ui.sale.state import FieldMode

if TYPE_CHECKING:
    from loyalty_desk.domain.quote import Note, Quote
    from loyalty_desk.services.wording import Words
    from loyalty_desk.ui.sale.model import SaleModel
    from loyalty_desk.ui.sale.ports import Desk, WallClock

MAX_PROMO_CODE = 40


class Pricing:
    """Over the checkout, on the main thread; `words` gives those in use."""

    def __init__(self, desk: Desk, clock: WallClock, words: Callable[[SaleModel], Words]) -> None:
        self._desk = desk
        self._clock = clock
        self._words = words

    def read(self, model: SaleModel) -> SaleModel:
        """Read the field."""
        words = self._words(model)
        entry = read_entry(
            model.typed,
            model.mode,
            has_guest=model.guest is not None,
            of=words.currency,
            point_decimals=words.point_decimals,
        )
        return structs.replace(model, entry=entry)

    def priced(self, model: SaleModel) -> SaleModel:
        """Price the check as it stands; fills `quote` or `problem`. A recorded one stays as it was sold."""
        if model.done is not None:
            return model
        problem: ForPerson | None = model.entry.problem
        quote = None
        now = self._clock.now()
        if model.amount is not None:
            try:
                model, quote = self.quoted(model, self.draft(model))
            except ForPerson as error:
                problem = problem or error
        return structs.replace(model, quote=quote, priced_at=now, problem=problem)

    def quoted(self, model: SaleModel, draft: CheckDraft) -> tuple[SaleModel, Quote]:
        """Price a draft, all the points that can be had in it where the guest wants all; raises as `Desk.price`."""
        if model.wants_all and draft.guest is not None:
            most = self._desk.price(replace(draft, points_asked=0)).redemption.max_points
            model, draft = structs.replace(model, points_asked=most), replace(draft, points_asked=most)
        return model, self._desk.price(draft)

    def draft(self, model: SaleModel) -> CheckDraft:
        """Return the check as it stands; points still being typed are in it."""
        points = model.points_asked
        if model.mode is FieldMode.POINTS and model.entry.reading is Reading.POINTS:
            points = model.entry.units or 0
        return CheckDraft(
            basket=None if model.amount is None else self._desk.basket(model.amount),
            guest=model.guest,
            points_asked=points if model.guest is not None else 0,
            codes=model.codes,
            at=self._clock.now(),
        )

    def with_code(self, model: SaleModel, data: bytes | str) -> tuple[SaleModel, str, Note] | None:
        """Add a text as a promo code if it changes what the program says of any rule; return what it says of the best.

        None where it changes nothing: then it is no promo code of this program.
        """
        text = (data.decode("utf-8", "replace") if isinstance(data, bytes) else data).strip()
        if model.amount is None or model.quote is None or not 0 < len(text) <= MAX_PROMO_CODE:
            return None
        before = _verdicts(model.quote)
        tried = self.priced(structs.replace(model, codes=(*model.codes, text)))
        if tried.quote is None or _verdicts(tried.quote) == before:
            return None
        told = [note for note in tried.quote.explanation if (note.rule, note.applied, note.code) not in before]
        if tried.entry.reading.names_guest:
            tried = self.read(replace(tried, typed="", mode=FieldMode.AUTO))
        return tried, text, next((note for note in told if note.applied), told[0])


def amount_kept(model: SaleModel) -> SaleModel:
    """Move the amount out of the field, so that the field is free."""
    if model.entry.reading is Reading.AMOUNT and model.entry.units is not None:
        return structs.replace(model, kept=model.entry.units, typed="", mode=FieldMode.AUTO, entry=NOTHING_TYPED)
    return model


def figures(quote: Quote) -> tuple[object, ...]:
    """Return what the cashier has read out, and so must not change under the hand that presses Enter."""
    return (quote.program_hash, quote.total, quote.redeemed_points, quote.earned_points, quote.discount_total)


def _verdicts(quote: Quote) -> set[tuple[str, bool, str]]:
    """Return what the quote says of each rule."""
    return {(note.rule, note.applied, note.code) for note in quote.explanation}
