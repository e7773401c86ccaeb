"""What the sale screen knows at one moment; the presenter replaces it, `display` turns it into what is shown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from loyalty_desk.ui.sale.entry import NOTHING_TYPED, Entry, Reading
from loyalty_desk.ui.sale.ports import ScannerHealth
from loyalty_desk.ui.sale.state import NO_MESSAGE, FieldMode, MessageState, Phase

if TYPE_CHECKING:
    from loyalty_desk.domain.errors import ForPerson
    from loyalty_desk.domain.program import Program
    from loyalty_desk.domain.quote import Quote
    from loyalty_desk.services.checkout import GuestCard, SaleDone
    from loyalty_desk.services.status import TillStatus
    from loyalty_desk.ui.sale.past_sale import PastSale


class Busy(StrEnum):
    """What is being waited for."""

    NO = "no"
    LOOKING_UP = "looking_up"
    RECORDING = "recording"


class Action(StrEnum):
    """What Enter does now. The big button is made from it, so the two cannot differ."""

    NOTHING = "nothing"
    WAIT_LOOKUP = "wait_lookup"
    WAIT_RECORD = "wait_record"
    NEXT = "next"
    LOOK_UP = "look_up"
    USE_POINTS = "use_points"
    KEEP_CHECK = "keep_check"
    RECORD = "record"
    RECORD_WITHOUT_GUEST = "record_without_guest"


class SaleModel(msgspec.Struct, frozen=True):
    """Money in minor units, points in smallest units.

    `kept` is an amount entered earlier; a valid amount in the field comes before it. `quote` prices `amount` at
    `priced_at`; `problem` says why there is none or what is typed wrong.
    """

    language: str = "en"
    theme: str = "light"
    status: TillStatus | None = None
    scanner: ScannerHealth = ScannerHealth.NONE
    camera: bool = False
    program: Program | None = None
    guest: GuestCard | None = None
    typed: str = ""
    mode: FieldMode = FieldMode.AUTO
    entry: Entry = NOTHING_TYPED
    kept: int | None = None
    points_asked: int = 0
    wants_all: bool = False
    codes: tuple[str, ...] = ()
    quote: Quote | None = None
    priced_at: datetime | None = None
    problem: ForPerson | None = None
    busy: Busy = Busy.NO
    done: SaleDone | None = None
    last: SaleDone | None = None
    past: PastSale | None = None
    message: MessageState = NO_MESSAGE
    tip: str = ""
    help_open: bool = False
    fold_open: bool = False
    has_pages: bool = False

    def next(self) -> SaleModel:
        """Return the model of the next sale: of this one only that it was the last is known."""
        return SaleModel(
            language=self.language,
            theme=self.theme,
            status=self.status,
            scanner=self.scanner,
            camera=self.camera,
            program=self.program,
            last=self.last,
            past=self.past,
            tip=self.tip,
            has_pages=self.has_pages,
        )

    @property
    def amount(self) -> int | None:
        """Return the check's amount: what is typed, else what was kept."""
        if self.entry.reading is Reading.AMOUNT:
            return self.entry.units
        return self.kept

    @property
    def phase(self) -> Phase:
        """Return where the sale stands."""
        if self.done is not None:
            return Phase.DONE
        if self.amount is None:
            return Phase.IDLE if self.guest is None else Phase.GUEST
        return Phase.CHECK if self.guest is None else Phase.QUOTE

    @property
    def action(self) -> Action:
        """Return what Enter does."""
        if self.busy is not Busy.NO:
            return Action.WAIT_LOOKUP if self.busy is Busy.LOOKING_UP else Action.WAIT_RECORD
        if self.done is not None:
            return Action.NEXT
        if self.entry.reading.names_guest:
            return Action.LOOK_UP
        if self.mode is FieldMode.POINTS:
            none_left = self.quote is not None and bool(self.entry.units) and not self.quote.redeemed_points
            return Action.NOTHING if self.entry.units is None or none_left else Action.USE_POINTS
        if self.mode is FieldMode.GUEST:
            return Action.NOTHING
        if self.quote is None or self.problem is not None or (self.status and not self.status.journal_ok):
            return Action.NOTHING
        if self.guest is not None:
            return Action.RECORD
        return Action.KEEP_CHECK if self.entry.reading is Reading.AMOUNT else Action.RECORD_WITHOUT_GUEST
