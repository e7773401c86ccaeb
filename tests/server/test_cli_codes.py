"""`guests code`: what the network signs for a guest is what a till's own check takes."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.code_proof import Doubt, doubt_of
from loyalty_desk.domain.guest_code import CodeKind, ld1, parse
from loyalty_desk.domain.hash_chain import SeenChains
from loyalty_desk.domain.key_set import CodeKey, KeySet
from loyalty_desk.domain.record import ClockConfidence, handle_text
from loyalty_desk.domain.signed_codes import NO_TIER, RotatingCode
from server.guests import service
from server.guests.service import NewGuest, Registered
from server.kit import feed
from tests.server.commands import Commands
from tests.server.world import World

pytestmark = pytest.mark.postgres


async def one_guest(world: World) -> Registered:
    (made,) = await world.guests(1, tier="GOLD", phone="+79161234567")
    till = await world.till()
    till.sale(made.id, earned=70, total=700_000)
    await world.push(till)
    return made


def keys_of(admin: psycopg.Connection) -> KeySet:
    rows = admin.execute("select network_id, kid, public, not_before from signing_key").fetchall()
    return KeySet(rows[0][0], 1, 0, tuple(CodeKey(row[1], bytes(row[2]), to_ms(row[3])) for row in rows))


def doubt(text: str, keys: KeySet, at: datetime, *, generation: int = 0) -> Doubt | None:
    signed = parse(text).signed
    assert signed is not None
    return doubt_of(signed, keys.network, keys, to_ms(at), ClockConfidence.GOOD, SeenChains(), generation)


def test_an_ld3_is_the_guests_card_signed(commands: Commands, admin: psycopg.Connection) -> None:
    guest = commands.live(one_guest)
    keys, now = keys_of(admin), datetime.now(UTC)
    made = commands.json("guests", "code", guest.member_no, "--kind", "ld3", "--days", "2")
    (text,) = made["codes"]
    code = parse(text)
    assert (code.kind, code.handle) == (CodeKind.LD3, guest.handles[0])
    assert doubt(text, keys, now) is None
    until = datetime.fromisoformat(made["until"][0])
    assert 2 * 86_400 - 60 < (until - now).total_seconds() <= 2 * 86_400 + 60
    assert doubt(text, keys, until) is Doubt.EXPIRED
    admin.execute("update credential set generation = 3")
    (again,) = commands.json("guests", "code", guest.member_no, "--kind", "ld3")["codes"]
    assert doubt(text, keys, now, generation=3) is Doubt.REVOKED
    assert doubt(again, keys, now, generation=3) is None


def test_an_ld4_is_a_phone_that_tills_hear_of(commands: Commands, admin: psycopg.Connection) -> None:
    guest = commands.live(one_guest)
    keys, now = keys_of(admin), datetime.now(UTC)
    made = commands.json("guests", "code", ld1(guest.handles[0]), "--kind", "ld4", "--count", "6")
    assert len(made["codes"]) == 6
    first, last = (parse(made["codes"][place]).signed for place in (0, -1))
    assert isinstance(first, RotatingCode)
    assert isinstance(last, RotatingCode)
    assert (first.step, last.step, first.root, first.balance, first.handle) == (1, 6, last.root, 70, last.handle)
    assert doubt(made["codes"][0], keys, now) is None
    assert doubt(made["codes"][5], keys, now) is Doubt.AHEAD
    for text, until in zip(made["codes"], made["until"], strict=True):
        assert doubt(text, keys, datetime.fromisoformat(until)) is None
    key = handle_text(first.handle)
    assert admin.execute("select kind, guest_id from credential where handle = %s", (first.handle.to_bytes(8, "big"),)
                         ).fetchone() == ("phone", guest.id)  # fmt: skip
    assert admin.execute("select digest is not null from feed where key = %s", (key,)).fetchone() == (True,)
    assert "verify: ok" in commands.run("verify")[0]
    again = parse(commands.json("guests", "code", guest.member_no, "--kind", "ld4")["codes"][0]).signed
    assert isinstance(again, RotatingCode)
    assert again.handle == first.handle, "the same phone shows another chain"
    assert again.root != first.root


def test_the_tier_is_its_place_in_the_program(commands: Commands, admin: psycopg.Connection, tmp_path: Path) -> None:
    guest = commands.live(one_guest)
    file = tmp_path / "program.json"
    tiers = [
        {"code": code, "threshold": number, "discount_bp": 0} for number, code in enumerate(("BASE", "MID", "GOLD"))
    ]
    file.write_text(json.dumps({"version": 1, "currency": "RUB", "tiers": tiers}))
    commands.json("program", "publish", str(file))
    code = parse(commands.json("guests", "code", guest.member_no, "--kind", "ld3")["codes"][0]).signed
    assert code is not None
    assert code.tier == 2
    admin.execute("update guest_state set tier = 'NONE'")
    code = parse(commands.json("guests", "code", guest.member_no, "--kind", "ld3")["codes"][0]).signed
    assert code is not None
    assert code.tier == NO_TIER


def test_a_chain_that_paid_elsewhere_is_told_to_tills(commands: Commands, admin: psycopg.Connection) -> None:
    guest = commands.live(one_guest)
    admin.execute("update credential set last_root = %s, last_step = 9", (b"r" * 16,))

    async def rows(world: World) -> dict[str, object]:
        from loyalty_desk.wire.v1.sync import FeedTable
        from server.guests import service

        async with world.ground.db.begin(world.network) as connection:
            key = handle_text(guest.handles[0])
            found = await service.feed_rows(connection, world.network, world.ground.vault, FeedTable.CREDENTIAL, [key])
        return dict(found[key])

    row = commands.live(rows)
    assert (row["root"], row["step"]) == (bytes_to_text(b"r" * 16), 9)


def test_a_guest_without_a_card_gets_one_that_tills_hear_of(commands: Commands, admin: psycopg.Connection) -> None:
    guest = commands.live(one_guest)
    admin.execute("delete from credential")
    assert "guests card" in commands.refused("guests", "code", guest.member_no)
    text = commands.json("guests", "card", guest.member_no)["code"]
    code = parse(text)
    assert code.kind is CodeKind.LD1
    assert commands.json("guests", "code", guest.member_no)["codes"] == [text]
    key = handle_text(code.handle)
    assert admin.execute("select digest is not null from feed where key = %s", (key,)).fetchone() == (True,)
    commands.json("guests", "card", text)
    assert len(commands.json("guests", "code", guest.member_no)["codes"]) == 2


@pytest.mark.parametrize("kind", ["ld2", "LD3", ""])
def test_no_other_kind_is_printed(commands: Commands, kind: str) -> None:
    guest = commands.live(one_guest)
    assert "ld1, ld3 or ld4" in commands.refused("guests", "code", guest.member_no, "--kind", kind)


def test_a_lost_card_is_blocked_and_another_one_works(commands: Commands, admin: psycopg.Connection) -> None:
    guest = commands.live(one_guest)
    lost = ld1(guest.handles[0])
    other = commands.json("guests", "card", guest.member_no)["code"]
    commands.run("guests", "block", lost, code=1)  # nobody has said yes
    assert commands.json("guests", "block", lost, "--yes") == {"blocked": 1}
    assert commands.json("guests", "code", guest.member_no)["codes"] == [other]
    assert "guests unblock" in commands.refused("guests", "block", lost, "--yes")
    assert commands.json("guests", "block", guest.member_no, "--yes") == {"blocked": 1}
    assert "Every card of this guest is blocked." in commands.refused("guests", "code", guest.member_no)
    for kind in ("ld1", "ld3", "ld4"):
        assert "This card is blocked." in commands.refused("guests", "code", lost, "--kind", kind)
    assert "verify: ok" in commands.run("verify")[0]


def told(commands: Commands, handle: int) -> tuple[str, int]:
    """Return what a till that pulls is told of a card: its state and the lowest generation that is good."""

    async def pull(world: World) -> dict[str, Any]:
        rows = (await world.pull(await world.till())).rows
        return next(one.row for one in rows if one.key == handle_text(handle) and one.row is not None)

    row = commands.live(pull)
    return row.get("state", "active"), row.get("generation", 0)


def test_a_card_that_was_found_again_works_and_what_was_signed_before_does_not(commands: Commands) -> None:
    guest = commands.live(one_guest)
    (handle,), found = guest.handles, ld1(guest.handles[0])
    signed = commands.json("guests", "code", found, "--kind", "ld3")["codes"][0]
    assert "blocked" in commands.refused("guests", "unblock", found, "--yes")
    commands.json("guests", "block", found, "--yes")
    assert told(commands, handle) == ("blocked", 1)
    commands.run("guests", "unblock", found, code=1)  # nobody has said yes
    assert commands.json("guests", "unblock", found, typed="y\n") == {"unblocked": 1}
    assert told(commands, handle) == ("active", 1)
    assert commands.json("guests", "code", guest.member_no)["codes"] == [found]
    again = parse(commands.json("guests", "code", found, "--kind", "ld3")["codes"][0]).signed
    before = parse(signed).signed
    assert before is not None
    assert again is not None
    assert (before.generation, again.generation) == (0, 1)
    assert "verify: ok" in commands.run("verify")[0]


def test_by_the_guest_what_was_blocked_together_last_is_unblocked(commands: Commands) -> None:
    guest = commands.live(one_guest)
    lost = ld1(guest.handles[0])
    commands.json("guests", "card", guest.member_no)
    commands.json("guests", "code", guest.member_no, "--kind", "ld4")
    commands.json("guests", "block", lost, "--yes")
    assert commands.json("guests", "block", guest.member_no, "--yes") == {"blocked": 2}
    assert commands.json("guests", "unblock", guest.member_no, "--yes") == {"unblocked": 2}
    assert commands.json("guests", "unblock", guest.member_no, "--yes") == {"unblocked": 1}
    assert "blocked" in commands.refused("guests", "unblock", guest.member_no, "--yes")


def test_questions_name_the_guest_and_show_nobody_who_it_is(commands: Commands) -> None:
    async def anna(world: World) -> Registered:
        async with world.ground.db.begin(world.network) as connection:
            new = NewGuest(name="Анна Мария Петрова", phone="+79161234567")
            (made,) = await service.register(connection, world.network, world.ground.vault, [new])
            changes = await service.changes(
                connection, world.network, world.ground.vault, [made.id], list(made.handles)
            )
            await feed.record(connection, world.network, changes)
        return made

    guest = commands.live(anna)
    for what in ("block", "unblock", "erase"):
        _, asked = commands.run("guests", what, "+79161234567", code=1, typed="n\n")
        assert f"Анна М. П., phone …4567, number {guest.member_no}" in asked
        assert "Петрова" not in asked
        assert "9161234567" not in asked


def test_only_what_a_blocked_card_was_shown_for_is_raised(commands: Commands, admin: psycopg.Connection) -> None:
    guest = commands.live(one_guest)
    card = ld1(guest.handles[0])

    async def sell(world: World) -> None:
        till = await world.till()
        till.sale(guest.id, handle=guest.handles[0])
        await world.push(till)

    def revoked() -> int:
        found = admin.execute("select count(*) from exception where kind = 'REVOKED'").fetchone()
        assert found is not None
        return int(found[0])

    commands.json("guests", "block", card, "--yes")
    commands.live(sell)
    assert revoked() == 1
    commands.json("guests", "unblock", card, "--yes")
    commands.live(sell)
    assert revoked() == 1
