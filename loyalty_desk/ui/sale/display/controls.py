"""What the hands use: the field, the big button, the keys, the camera's little window, the help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.services.sentences import sentence
from loyalty_desk.ui.sale.display.points import why_no_points
from loyalty_desk.ui.sale.entry import Reading
from loyalty_desk.ui.sale.model import Action, SaleModel
from loyalty_desk.ui.sale.ports import ScannerHealth
from loyalty_desk.ui.sale.state import (
    ButtonState,
    FieldMode,
    FieldState,
    HelpState,
    KeyState,
    MessageState,
    Phase,
    PreviewState,
    Tone,
)

if TYPE_CHECKING:
    from loyalty_desk.services.wording import Words


def field(model: SaleModel, words: Words) -> FieldState:
    """Return the one field: what it takes, and how what is typed is read."""
    t = words.gettext
    has_guest = model.guest is not None and model.done is None
    label = {
        FieldMode.AUTO: t("Amount of the check") if has_guest else t("Card, phone, code or amount"),
        FieldMode.GUEST: t("Guest: card, number, phone or code"),
        FieldMode.AMOUNT: t("Amount of the check"),
        FieldMode.POINTS: t("How many points to use"),
    }[model.mode]
    # The amount that the check has while the field is free for another one.
    amount = "0" if model.kept is None or model.done is not None else words.money(model.kept)
    placeholder = {
        FieldMode.AUTO: amount if has_guest else t("scan or type"),
        FieldMode.GUEST: t("card or number"),
        FieldMode.AMOUNT: amount,
        FieldMode.POINTS: "0",
    }[model.mode]
    entry = model.entry
    reading = {
        Reading.NOTHING: "",
        Reading.CARD: t("a guest’s card"),
        Reading.NUMBER: t("a guest’s number"),
        Reading.SHORT: t("a guest’s 6-digit code · F3 if an amount"),
        Reading.PHONE: t("a phone · F3 if an amount"),
        Reading.CODE: t("a code"),
        Reading.AMOUNT: t("amount {money}").format(money=words.money(entry.units or 0))
        if entry.units is not None
        else "",
        Reading.POINTS: words.points(entry.units) if entry.units is not None else "",
    }[entry.reading]
    return FieldState(
        text=model.typed,
        mode=model.mode,
        label=label,
        placeholder=placeholder,
        reading=reading,
        read_only=model.action is Action.WAIT_RECORD,
    )


def message(model: SaleModel, words: Words) -> MessageState:
    """Return the sentence to the cashier: what was said last, else what is wrong with the entry, else the tip."""
    if model.message.text:
        return model.message
    problem = model.entry.problem or model.problem
    if isinstance(problem, BadInput) or (problem is not None and model.amount is not None):
        return MessageState(sentence(problem, words), Tone.WARN)
    if model.tip and model.phase is Phase.IDLE and not model.typed:
        return MessageState(model.tip, Tone.INFO)
    return MessageState()


def button(model: SaleModel, words: Words) -> ButtonState:
    """Return what Enter does, in words."""
    t = words.gettext
    total = words.money(model.quote.due, sign=True) if model.quote else ""
    match model.action:
        case Action.WAIT_LOOKUP:
            return ButtonState(t("Looking up the guest…"))
        case Action.WAIT_RECORD:
            return ButtonState(t("Recording…"))
        case Action.NEXT:
            return ButtonState(t("Next guest"), enabled=True)
        case Action.LOOK_UP:
            return ButtonState(t("Find the guest"), enabled=True)
        case Action.USE_POINTS:
            taken = model.quote.redeemed_points if model.quote else model.entry.units or 0
            return ButtonState(t("Use {points}").format(points=words.points(taken)), enabled=True)
        case Action.KEEP_CHECK:
            amount = words.money(model.amount or 0, sign=True)
            return ButtonState(t("Check {amount}, then the guest").format(amount=amount), enabled=True)
        case Action.RECORD:
            return ButtonState(t("Record the sale: {total}").format(total=total), enabled=True)
        case Action.RECORD_WITHOUT_GUEST:
            return ButtonState(t("Record without a guest: {total}").format(total=total), enabled=True)
        case Action.NOTHING:
            return ButtonState(_why_nothing(model, words))


def _why_nothing(model: SaleModel, words: Words) -> str:
    t = words.gettext
    if model.status is not None and not model.status.journal_ok:
        return t("Sales cannot be recorded now")
    if model.mode is FieldMode.POINTS:
        return _way_on_from_points(model, words)
    if model.mode is FieldMode.GUEST:
        return t("Scan or type the guest’s card")
    if model.problem is not None or model.entry.problem is not None:
        if model.entry.problem is not None and model.entry.problem.code == "amount_zero":
            return t("The amount is zero")
        return t("The amount cannot be read") if model.entry.problem else t("This check cannot be priced")
    if model.guest is not None:
        return t("Type the amount of the check")
    return t("Scan the guest or type the amount")


def _way_on_from_points(model: SaleModel, words: Words) -> str:
    t = words.gettext
    if not model.entry.units:
        return t("Type how many points")
    if model.quote is not None and model.quote.redemption.max_points:
        return t("Type another number. Esc: without points")
    return t("No points here. Esc: go on without them")


def keys(model: SaleModel, words: Words) -> tuple[KeyState, ...]:
    """Return the bar of keys."""
    t = words.gettext
    no_points = why_no_points(model, words)
    return (
        KeyState("F1", t("Help"), active=model.help_open),
        KeyState("F2", t("Guest"), active=model.mode is FieldMode.GUEST),
        KeyState("F3", t("Amount"), active=model.mode is FieldMode.AMOUNT),
        # Points are of no use to a sale that is recorded; its slip is.
        KeyState("F5", t("Slip"))
        if model.done is not None and model.has_pages
        else KeyState("F4", t("Points"), not no_points, model.mode is FieldMode.POINTS, no_points),
        KeyState("Esc", t("Cancel")),
        *_pages(model, words),
    )


def _pages(model: SaleModel, words: Words) -> tuple[KeyState, ...]:
    """Return the keys of what a counter does beside selling."""
    t = words.gettext
    if not model.has_pages:
        return ()
    known = model.guest is not None and model.guest.guest_id is not None and model.done is None
    guest = "" if known else t("Points belong to a guest.")
    return (
        KeyState("F6", t("Past sales")),
        KeyState("F8", t("New guest")),
        KeyState("F9", t("By hand"), known, tip=guest),
        KeyState("F10", t("Shift")),
        KeyState("F12", t("This till")),
    )


def preview(model: SaleModel, words: Words) -> PreviewState:
    """Return what the camera says where it has no picture."""
    if not model.camera:
        return PreviewState()
    t = words.gettext
    text = {
        ScannerHealth.STARTING: t("The camera is starting…"),
        ScannerHealth.LOST: t("No picture. Looking for the camera…"),
    }.get(model.scanner, "")
    return PreviewState(text=text, tip=t("Hold the guest’s code inside the frame."), shown=True)


def help_panel(words: Words) -> HelpState:
    """Return the help."""
    t = words.gettext
    return HelpState(
        title=t("How to sell"),
        rows=(
            ("1", t("Scan the guest’s code: camera, scanner, or type a card’s number or phone.")),
            ("2", t("Type the amount of the check. The price is there at once.")),
            ("3", t("Ask about points, press a button or F4.")),
            ("Enter", t("Does what the big button says.")),
            ("F2", t("The field takes a guest: card, number, phone or code.")),
            ("F3", t("The field takes an amount, even of six digits.")),
            ("F4", t("The field takes points to use.")),
            ("Esc", t("Takes back one step; at last, the whole check.")),
            ("F5 F6", t("Slip of the last sale; past sales: returns, exchanges, cancelling.")),
            ("F8", t("Registers a new guest.")),
            ("F9", t("Points by hand, with a manager’s PIN.")),
            ("F10", t("Opens and closes the shift: X and Z reports.")),
            ("F12", t("How the till is: what waits, which limits hold; settings.")),
        ),
        close=t("Close"),
    )
