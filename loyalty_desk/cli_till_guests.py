"""`loyalty-desk till find | register | adjust | transfer | override`: guests, and what a manager's PIN allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from loyalty_desk.cli_till import (
    AsJson,
    DataDir,
    Guest,
    GuestOption,
    Lang,
    ask_pin,
    named_once,
    opened,
    show,
    show_lines,
)
from loyalty_desk.domain.errors import BadInput

if TYPE_CHECKING:
    from loyalty_desk.domain.contents import AdjustReason

REASONS = "goodwill, compensation, forgotten_card, mistake, prize, family, lost_card, fraud or other"
By = Annotated[str, typer.Option("--manager", help="Id or name of the manager; the PIN is asked for.")]
Reason = Annotated[str, typer.Option("--reason", help=REASONS)]
Comment = Annotated[str, typer.Option("--comment", help="A few words; kept beside the record, never in it.")]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (find, register, adjust, transfer, override):
        app.command()(command)


def find(
    code: Guest = "", code_option: GuestOption = "", data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False
) -> None:
    """Show whose a code, number or phone is; phones and 6-digit codes are the server's to answer."""
    from loyalty_desk.cli_till_sale import guest_of
    from loyalty_desk.services.counter_lines import guest_lines

    with opened(data_dir, lang) as (till, words):
        till.wait_until_checked()
        card = guest_of(till, named_once(code, code_option))
        result: dict[str, object] = {
            "guest": None if card.guest_id is None else str(card.guest_id),
            "name": card.name,
            "tier": card.tier,
            "points": card.points,
            "allowed_offline": card.allowance.max_points,
            "limited_by": card.allowance.reason,
            "provisional": card.provisional,
        }
        show_lines(result, guest_lines(card, words), as_json)


def register(
    consent: Annotated[str, typer.Option("--consent", help="Version of the text that the guest has agreed to.")],
    name: Annotated[str, typer.Option("--name", help="What to call them; a phone alone will do.")] = "",
    phone: Annotated[str, typer.Option("--phone", help="As people say it: +7 916 123-45-67 or 8 916….")] = "",
    birthday: Annotated[str, typer.Option("--birthday", help="As 1990-03-04 or 04.03.1990.")] = "",
    email: Annotated[str, typer.Option("--email")] = "",
    card: Annotated[str, typer.Option("--card", help="A new card that is handed out; absent: one is made.")] = "",
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Register a guest; without the server they earn at once and spend once it knows them."""
    from loyalty_desk.domain.private_fields import GuestFields
    from loyalty_desk.services.counter_lines import new_card_line, registered_line
    from loyalty_desk.services.registration import birthday_of

    with opened(data_dir, lang) as (till, words):
        fields = GuestFields(name=name, phone=phone, birthday=birthday_of(birthday.strip()), email=email)
        registration = till.counter.registration
        code = card or registration.new_card()
        done = registration.register(fields, consent, code)
        text = registered_line(done, words) if card else f"{registered_line(done, words)}\n{new_card_line(code, words)}"
        result = {
            "id": str(done.record_id),
            "guest": str(done.card.guest_id),
            "was_asked": done.was_asked,
            "card": code,
        }
        show(result, text, as_json)


def adjust(
    code: Guest,
    points: Annotated[int, typer.Argument(help="Points to give; to take: --take.", min=1)],
    manager: By,
    reason: Reason,
    take: Annotated[bool, typer.Option("--take", help="Take the points instead of giving them.")] = False,
    comment: Comment = "",
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Give or take points by hand, in smallest units."""
    from loyalty_desk.cli_till_sale import guest_of
    from loyalty_desk.services.counter_lines import by_hand_line

    with opened(data_dir, lang) as (till, words):
        card, why = guest_of(till, code), _reason(reason)
        member = till.counter.pins.manager(manager, ask_pin(manager))
        done = till.counter.approvals.adjust(card, -points if take else points, why, member, comment)
        show({"id": str(done.record_id), "balance": done.balance_after}, by_hand_line(done, words), as_json)


def transfer(
    code: Guest,
    to: Annotated[str, typer.Argument(help="The guest who gets the points.")],
    points: Annotated[int, typer.Argument(min=1)],
    manager: By,
    reason: Reason = "family",
    comment: Comment = "",
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Move points from one guest to another, in smallest units."""
    from loyalty_desk.cli_till_sale import guest_of
    from loyalty_desk.services.counter_lines import by_hand_line

    with opened(data_dir, lang) as (till, words):
        giver, taker, why = guest_of(till, code), guest_of(till, to), _reason(reason)
        member = till.counter.pins.manager(manager, ask_pin(manager))
        done = till.counter.approvals.transfer(giver, taker, points, why, member, comment)
        show({"id": str(done.record_id), "balance": done.balance_after}, by_hand_line(done, words), as_json)


def override(
    code: Guest,
    manager: By,
    tier: Annotated[bool, typer.Option("--tier", help="Let the tier's discount through, not the redemption.")] = False,
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Lift a limit once: redemptions in a row, or with --tier the tier's discount by a code anybody may copy."""
    from loyalty_desk.cli_till_sale import guest_of
    from loyalty_desk.services.counter_lines import allowed_line

    with opened(data_dir, lang) as (till, words):
        card = guest_of(till, code)
        member = till.counter.pins.manager(manager, ask_pin(manager))
        approvals = till.counter.approvals
        done = approvals.lift_tier_cap(card, member) if tier else approvals.lift_limit(card, member)
        show({"id": str(done)}, allowed_line(words), as_json)


def _reason(text: str) -> AdjustReason:
    from loyalty_desk.domain.contents import AdjustReason

    try:
        return AdjustReason(text.strip().lower())
    except ValueError:
        raise BadInput("reason_unknown", reasons=", ".join(AdjustReason)) from None
