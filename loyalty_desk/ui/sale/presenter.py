"""What the sale screen does: plain Python, all on the main thread, over the checkout and a task runner.

Every intent ends in one new model and one `render`. Answers from the other thread carry the turn they were asked in and
are dropped when the cashier has moved on; a confirmation in flight is never dropped and never started twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import structs

from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.services.sentences import nobody_found, sentence
from loyalty_desk.ui.sale.display.header import notice_to_read
from loyalty_desk.ui.sale.display.names import tier_name
from loyalty_desk.ui.sale.display.points import ALL_POINTS
from loyalty_desk.ui.sale.display.screen import Display
from loyalty_desk.ui.sale.entry import NOTHING_TYPED, Reading
from loyalty_desk.ui.sale.model import Action, Busy, SaleModel
from loyalty_desk.ui.sale.ports import Desk, ScannerHealth, Sound, TaskRunner, WallClock
from loyalty_desk.ui.sale.pricing import Pricing, amount_kept, figures
from loyalty_desk.ui.sale.state import NO_MESSAGE, FieldMode, MessageState, SaleState, Tone

if TYPE_CHECKING:
    from loyalty_desk.services.checkout import GuestCard, SaleDone
    from loyalty_desk.services.ports.scan import Scan
    from loyalty_desk.services.status import TillStatus
    from loyalty_desk.services.wording import Words
    from loyalty_desk.ui.sale.past_sale import PastSale

DONE_SECONDS = 5.0
# A quote this old is priced again by the next tick: happy hours end, and the cashier should see it happen.
PRICE_AGAIN_AFTER = timedelta(seconds=10)


class SalePresenter:
    """Turns intents into services' calls and states. `crashed` takes faults of ours to the crash log.

    `dismiss` forgets a notice, on the other thread; `rearm` lets a code still held before the camera be read again.
    """

    def __init__(
        self,
        *,
        desk: Desk,
        runner: TaskRunner,
        clock: WallClock,
        render: Callable[[SaleState], None],
        sound: Callable[[Sound], None],
        crashed: Callable[[Exception], None],
        language: str = "en",
        theme: str = "light",
        camera: bool = False,
        tip: str = "",
        dismiss: Callable[[int], None] = lambda _: None,
        rearm: Callable[[], None] = lambda: None,
        has_pages: bool = False,
    ) -> None:
        self._desk = desk
        self._dismiss = dismiss
        self._rearm = rearm
        self._runner = runner
        self._clock = clock
        self._render = render
        self._sound = sound
        self._crashed = crashed
        self._model = SaleModel(language=language, theme=theme, camera=camera, tip=tip, has_pages=has_pages)
        self._display = Display()
        self._pricing = Pricing(desk, clock, self._display.words)
        self._turn = 0
        self._pending: bytes | None = None
        self._stop_waiting: Callable[[], None] | None = None

    # -- what comes from outside

    def start(self) -> None:
        """Show the screen for the first time."""
        self._set(program=self._desk.program())

    def status_changed(self, status: TillStatus) -> None:
        """Take the till's newest status; a program or a guest that came with a sync is taken up at once."""
        before = self._model.status
        program = self._desk.program()
        fresh = program is not self._model.program or program is None
        self._set(status=status, program=program, draw=False)
        synced = before is not None and before.synced_at != status.synced_at
        if fresh:
            self._reprice()
        self._show()
        if synced and self._model.guest is not None and self._model.busy is Busy.NO and self._model.done is None:
            self._refresh_guest(self._model.guest)

    def scanner_changed(self, health: ScannerHealth) -> None:
        """Take the scanners' health."""
        self._set(scanner=health)

    def tick(self) -> None:
        """Move the clock; a quote that has grown old is priced again."""
        priced_at = self._model.priced_at
        open_check = self._model.quote is not None and self._model.done is None and self._model.busy is Busy.NO
        if open_check and priced_at is not None and self._clock.now() - priced_at >= PRICE_AGAIN_AFTER:
            self._reprice()
        self._show()

    # -- what the cashier does

    def field_changed(self, text: str) -> None:
        """Read what is in the field now and price it."""
        if self._model.busy is Busy.RECORDING:
            self._show()
            return
        if self._model.done is not None:
            self._begin_next()
        self._set(typed=text, message=NO_MESSAGE, draw=False)
        self._read()
        self._reprice()
        self._show()

    def code_scanned(self, scan: Scan) -> None:
        """Take a scan at any moment: during a confirmation it waits for it, after one it opens the next guest."""
        if self._model.busy is Busy.RECORDING:
            self._pending = scan.data
            return
        if self._model.done is not None:
            self._next_sale()
        self._sound(Sound.READ)
        self._set(help_open=False, draw=False)
        self._identify(scan.data)

    def submitted(self) -> None:
        """Do what the big button says."""
        if self._model.help_open:
            self._set(help_open=False)
            return
        match self._model.action:
            case Action.NEXT:
                self._begin_next()
                self._show()
            case Action.LOOK_UP:
                self._identify(self._model.entry.text)
            case Action.USE_POINTS:
                self._use_points(self._model.entry.units or 0)
            case Action.KEEP_CHECK:
                self._keep_amount()
                self._show()
            case Action.RECORD | Action.RECORD_WITHOUT_GUEST:
                self._confirm()
            case Action.NOTHING:
                self._say_why_not()
            case Action.WAIT_LOOKUP | Action.WAIT_RECORD:
                pass

    def mode_requested(self, mode: FieldMode) -> None:
        """Force what the field takes (F2, F3, F4); the same key again gives it back."""
        if self._model.busy is Busy.RECORDING:
            return
        if self._model.done is not None:
            self._next_sale()
        said = NO_MESSAGE
        if mode is FieldMode.POINTS and mode is not self._model.mode:
            said = self._display.no_points(self._model)
            # With a guest it takes the field none the less: a hand that types on would make 980100 of a check of 980.
            if said.text and self._model.guest is None:
                self._set(message=said)
                return
        if mode is FieldMode.POINTS and mode is self._model.mode and self._model.kept is not None:
            # Digits typed after it are still points: given back, the field would take them for another amount.
            return
        if mode is self._model.mode:
            mode = FieldMode.AUTO
        points_involved = FieldMode.POINTS in (mode, self._model.mode)
        keep_text = not points_involved and (mode is not FieldMode.GUEST or self._model.guest is None)
        if not keep_text:
            self._keep_amount()
        self._set(mode=mode, typed=self._model.typed if keep_text else "", message=said, draw=False)
        self._read()
        self._reprice()
        self._show()

    def key_refused(self, key: str) -> None:
        """Say why a key of the bar does nothing now."""
        if self._model.busy is not Busy.RECORDING:
            self._set(message=self._display.why_not(self._model, key))

    def points_chosen(self, points: int | None) -> None:
        """Take a chip: points, all of them (-1), or None to type another number."""
        if self._model.busy is Busy.RECORDING or self._model.done is not None:
            return
        if points is None:
            if self._model.mode is not FieldMode.POINTS:
                self.mode_requested(FieldMode.POINTS)
            return
        self._keep_amount()
        leaves = self._model.mode is FieldMode.POINTS
        self._set(
            wants_all=points == ALL_POINTS,
            points_asked=max(points, 0),
            mode=FieldMode.AUTO if leaves else self._model.mode,
            typed="" if leaves else self._model.typed,
            message=NO_MESSAGE,
            draw=False,
        )
        self._read()
        self._reprice()
        self._show()

    def cancelled(self) -> None:
        """Take back one step (Esc): the help, a lookup, the field, its mode, at last the whole check."""
        model = self._model
        if model.busy is Busy.RECORDING:
            return
        if model.help_open:
            self._set(help_open=False)
            return
        if model.done is not None:
            self._begin_next()
        elif model.busy is Busy.LOOKING_UP:
            self._turn += 1
            self._set(busy=Busy.NO, draw=False)
        elif model.typed or model.mode is not FieldMode.AUTO:
            self._set(typed="", mode=FieldMode.AUTO, message=NO_MESSAGE, draw=False)
            self._read()
            self._reprice()
        else:
            self._next_sale()
        self._show()

    def notice_read(self) -> None:
        """Put away the notice on the line: the right person has read it."""
        read, status = notice_to_read(self._model), self._model.status
        if read is None or status is None:
            return
        left = tuple(one for one in status.notices if one.id != read.id)
        self._set(status=structs.replace(status, notices=left))
        self._runner.run(lambda: self._dismiss(read.id), lambda _: None, self._not_dismissed)

    def _not_dismissed(self, error: Exception) -> None:
        # It comes back with the next status: nothing is lost but the click.
        if not isinstance(error, ForPerson):
            self._crashed(error)

    def fold_toggled(self) -> None:
        """Open or close the list of what was not applied."""
        self._set(fold_open=not self._model.fold_open)

    def help_toggled(self) -> None:
        """Open or close the help."""
        self._set(help_open=not self._model.help_open)

    def copied(self) -> None:
        """Say that the discount is in the clipboard."""
        self._set(message=self._display.copied(self._model))

    def language_chosen(self, language: str) -> None:
        """Speak another language from now on; a sentence already said is taken back."""
        self._set(language=language, message=NO_MESSAGE)

    def camera_set(self, camera: bool) -> None:
        """Take whether there is to be a camera from now on."""
        self._set(camera=camera)

    def theme_chosen(self, theme: str) -> None:
        """Note the theme, for its button."""
        self._set(theme=theme)

    def guest_put(self, card: GuestCard) -> None:
        """Put a guest on the sale whom a page of the counter has registered, or knows better now."""
        if self._model.busy is Busy.RECORDING:
            return
        if self._model.done is not None:
            self._next_sale()
        self._turn += 1
        self._guest_found(card)

    def sold_before(self, past: PastSale) -> None:
        """Take the last sale of the journal: after a crash it is there exactly once, after an exchange it is that."""
        last = self._model.last
        same = last is not None and last.record_id == past.id and not past.came_back
        self._set(past=past, last=last if same else None)

    def told(self, text: str) -> None:
        """Say what a page of the counter has come to."""
        self._set(message=MessageState(text, Tone.GOOD))

    def something_broke(self) -> None:
        """Say calmly that a fault of ours has been reported."""
        self._set(message=self._display.our_fault(self._model))

    @property
    def language(self) -> str:
        """Return the language spoken."""
        return self._model.language

    @property
    def guest(self) -> GuestCard | None:
        """Return the guest of the sale under way, the tier named in the language in use."""
        model = self._model
        if model.guest is None or model.done is not None:
            return None
        return replace(model.guest, tier_name=tier_name(model.guest, model.program, self._words()))

    @property
    def words(self) -> Words:
        """Return the words in use: language, currency, points and zone."""
        return self._words()

    @property
    def model(self) -> SaleModel:
        """Return what the screen is made from: the numbers behind the words."""
        return self._model

    @property
    def recording(self) -> bool:
        """Return whether a confirmation is in flight."""
        return self._model.busy is Busy.RECORDING

    # -- identify

    def _identify(self, data: bytes | str) -> None:
        self._turn += 1
        turn = self._turn
        self._set(busy=Busy.LOOKING_UP, message=NO_MESSAGE)

        def done(card: GuestCard) -> None:
            if turn == self._turn:
                self._guest_found(card)

        def failed(error: Exception) -> None:
            if turn == self._turn:
                self._not_found(data, error)

        self._runner.run(lambda: self._desk.identify(data), done, failed)

    def _guest_found(self, card: GuestCard) -> None:
        before = self._model.guest
        other = before is not None and (before.guest_id != card.guest_id or before.name != card.name)
        message = self._display.guest_changed(self._model, card) if other else NO_MESSAGE
        same = before is not None and not other
        # Digits typed as an amount stay: the cashier had begun the check before the card came.
        keeps_text = self._model.mode is not FieldMode.GUEST and not self._model.entry.reading.names_guest
        self._set(
            busy=Busy.NO,
            guest=card,
            mode=self._model.mode if keeps_text and self._model.mode is FieldMode.AMOUNT else FieldMode.AUTO,
            typed=self._model.typed if keeps_text and self._model.entry.reading is not Reading.POINTS else "",
            points_asked=self._model.points_asked if same else 0,
            wants_all=self._model.wants_all and same,
            message=message,
            draw=False,
        )
        self._read()
        self._reprice()
        self._show()

    def _not_found(self, data: bytes | str, error: Exception) -> None:
        self._set(busy=Busy.NO, draw=False)
        if not isinstance(error, ForPerson):
            self._ours(error)
        elif error.code != "code_foreign" or not self._try_promo_code(data):
            self._sound(Sound.REFUSED)
            words = self._words()
            said = sentence(nobody_found(error, data) if isinstance(data, str) else error, words)
            self._say(said, Tone.WARN)

    def _try_promo_code(self, data: bytes | str) -> bool:
        """Add the text as a promo code if the program knows it; return whether it does."""
        found = self._pricing.with_code(self._model, data)
        if found is None:
            return False
        self._model, text, best = found
        self._set(message=self._display.code_taken(self._model, text, best))
        return True

    def _refresh_guest(self, card: GuestCard) -> None:
        turn = self._turn

        def done(fresh: GuestCard) -> None:
            if turn == self._turn and self._model.guest is card and self._model.busy is Busy.NO:
                self._set(guest=fresh, draw=False)
                self._reprice()
                self._show()

        def failed(error: Exception) -> None:
            if not isinstance(error, ForPerson):
                self._crashed(error)

        self._runner.run(lambda: self._desk.refresh(card), done, failed)

    # -- price

    def _read(self) -> None:
        self._model = self._pricing.read(self._model)

    def _reprice(self) -> None:
        self._model = self._pricing.priced(self._model)

    def _use_points(self, points: int) -> None:
        self._set(points_asked=points, wants_all=False, mode=FieldMode.AUTO, typed="", message=NO_MESSAGE, draw=False)
        self._read()
        self._reprice()
        self._show()

    def _keep_amount(self) -> None:
        self._model = amount_kept(self._model)

    # -- confirm

    def _confirm(self) -> None:
        shown = self._model.quote
        draft = self._pricing.draft(self._model)
        try:
            self._model, quote = self._pricing.quoted(self._model, draft)
        except ForPerson as error:
            self._set(problem=error, quote=None)
            return
        draft = replace(draft, points_asked=self._model.points_asked if draft.guest is not None else 0)
        if shown is None or figures(shown) != figures(quote):
            self._set(quote=quote, priced_at=draft.at, problem=None, draw=False)
            self._say(sentence(ForPerson("quote_stale"), self._words()), Tone.WARN)
            return
        self._turn += 1
        self._pending = None
        self._set(busy=Busy.RECORDING, message=NO_MESSAGE)
        self._runner.run(lambda: self._desk.confirm(draft, quote), self._recorded, self._not_recorded)

    def _recorded(self, done: SaleDone) -> None:
        self._sound(Sound.DONE)
        pending, self._pending = self._pending, None
        self._set(busy=Busy.NO, done=done, last=done, typed="", mode=FieldMode.AUTO, fold_open=False, draw=False)
        self._set(entry=NOTHING_TYPED)
        self._stop_waiting = self._runner.later(DONE_SECONDS, self._done_is_over)
        if pending is not None:
            self._next_sale()
            self._sound(Sound.READ)
            self._identify(pending)

    def _not_recorded(self, error: Exception) -> None:
        # A scan made meanwhile is let go: the sale before it still stands open on the screen.
        self._pending = None
        self._set(busy=Busy.NO, draw=False)
        if not isinstance(error, ForPerson):
            self._ours(error)
            return
        self._sound(Sound.REFUSED)
        guest = self._model.guest
        self._reprice()
        self._say(self._display.refusal(error, self._model), Tone.BAD if error.code in _GRAVE else Tone.WARN)
        if guest is not None and (error.code in _CHANGED or error.code.startswith("hold_")):
            # What the server has just said of the points is known here now.
            self._refresh_guest(guest)

    def _done_is_over(self) -> None:
        if self._model.done is not None and not self._model.help_open:
            self._next_sale()
            self._show()

    def _begin_next(self) -> None:
        """Begin the next sale because the cashier says so: whoever holds a card before the camera now is its guest.

        Not when the time is up: a phone that still lies there would become the guest of whoever comes next.
        """
        self._next_sale()
        self._rearm()

    def _next_sale(self) -> None:
        """Forget everything but the last sale."""
        if self._stop_waiting is not None:
            self._stop_waiting()
            self._stop_waiting = None
        self._turn += 1
        self._model = self._model.next()

    # -- saying

    def _say_why_not(self) -> None:
        problem = self._model.problem
        if problem is not None:
            self._sound(Sound.REFUSED)
            self._say(sentence(problem, self._words()), Tone.WARN)

    def _ours(self, error: Exception) -> None:
        self._crashed(error)
        self._sound(Sound.REFUSED)
        self._set(message=self._display.our_fault(self._model))

    def _say(self, text: str, tone: Tone) -> None:
        self._set(message=MessageState(text, tone))

    def _words(self) -> Words:
        return self._display.words(self._model)

    def _set(self, *, draw: bool = True, **changes: object) -> None:
        self._model = structs.replace(self._model, **changes)
        if draw:
            self._show()

    def _show(self) -> None:
        self._render(self._display.state(self._model, self._clock.now()))


# What the cashier sees is not what holds any more.
_CHANGED = frozenset({"quote_stale", "redemption_refused"})
_GRAVE = frozenset({"journal_unavailable", "disk_full"})
