"""The commands of whoever runs a network, as they are typed: what they do, and one sentence for what they do not."""

import json
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from loyalty_desk import assets
from loyalty_desk.domain.record import ExceptionKind
from loyalty_desk.wire.v1.sheets import SheetKind, sheet_text
from server.attention_sentences import EXCEPTIONS
from tests.server.commands import Commands
from tests.server.fake_till import FakeTill
from tests.server.world import World

pytestmark = pytest.mark.postgres


def test_a_program_is_checked_published_once_and_shown(commands: Commands, tmp_path: Path) -> None:
    shown = commands.json("program", "show")
    assert shown["version"] == 1
    file = tmp_path / "program.toml"
    file.write_text('currency = "RUB"\nmodel = "points"\n[expiry]\ntype = "days"\ndays = 90\n')
    assert commands.json("program", "check", str(file)) == {"ok": True, "tiers": 0, "rules": 0, "warnings": []}
    assert commands.json("program", "publish", str(file))["version"] == 2
    again = commands.json("program", "publish", str(file))
    assert (again["version"], again["new"]) == (2, False)
    assert commands.json("program", "show")["program"]["expiry"] == {"type": "days", "days": 90}
    assert commands.json("program", "show", "--version", "1") == shown
    copy = tmp_path / "copy.json"
    copy.write_text(commands.run("program", "show")[0])
    assert commands.json("program", "publish", str(copy))["version"] == 2


def test_limits_are_shown_as_given_held_by_tills_and_left(
    commands: Commands, admin: psycopg.Connection, tmp_path: Path
) -> None:
    assert commands.json("program", "limits") == {"version": 1, "limits": [], "awaited": []}
    assert "No rule of the program is limited" in commands.run("program", "limits")[0]
    file = tmp_path / "program.json"
    rules = [
        {
            "id": name,
            "name": names,
            "effects": [{"type": "fixed_amount", "amount": 100}],
            "conditions": [condition],
        }
        for name, names, condition in (
            ("gift", {"en": "Gift", "ru": "Подарок"}, {"type": "usage", "total": 2_000}),
            ("fund", {"en": "Fund", "ru": "Fund"}, {"type": "budget", "amount": 500_000}),
        )
    ]
    file.write_text(json.dumps({"currency": "RUB", "rules": rules}))
    assert commands.json("program", "publish", str(file))["version"] == 2
    till, life = uuid4(), uuid4()
    for statement, parameters in (
        (
            (
                "insert into device (network_id, id, store_id, name, pubkey, state)"
                " select network_id, %s, id, 'Bar', %s, 'active' from store limit 1"
            ),
            (till, bytes(32)),
        ),
        (
            (
                "insert into lease (network_id, device_id, epoch, rule, period, granted, used, expires_at)"
                " select network_id, id, 1, 'gift', '', 40, 3, now() + interval '1 day' from device"
            ),
            (),
        ),
        ("insert into counter select network_id, 'program', 'gift', '', 3 from network", ()),
        ("insert into lease_holder select network_id, id, 1, 1, %s, now() + interval '1 day' from device", (life,)),
    ):
        admin.execute(statement, parameters)
    (gift, fund) = commands.json("program", "limits")["limits"]
    assert gift == {
        "rule": "gift",
        "of": "uses",
        "limit": 2_000,
        "used": 3,
        "leased": 37,
        "left": 1_960,
        "tills": {str(till): 37},
    }
    assert (fund["of"], fund["limit"], fund["left"]) == ("money", 500_000, 500_000)
    said = commands.run("program", "limits")[0]
    assert "Gift / Подарок: 2,000 in all, 3 given, 37 at tills, 1,960 left" in said
    assert "37  Bar (never heard of)" in said
    assert "\nFund: 5,000.00 in all" in said
    admin.execute("update device set last_seen = '2026-03-01 21:30+00'")
    said, warned = commands.run("program", "limits")
    assert "37  Bar (last heard of 2026-03-02 00:30 MSK)" in said
    # What a silent till holds never comes back by itself: it may have given all of it.
    assert f"loyalty-server till revoke {till}" in warned
    commands.run("till", "revoke", str(till), "--yes")
    admin.execute("update lease set expires_at = now() - interval '3 days'")
    said, warned = commands.run("program", "limits")
    assert "0 at tills, 1,997 left" in said
    assert not warned


def test_more_limits_than_tills_can_be_told_of_are_refused(commands: Commands, tmp_path: Path) -> None:
    effects, conditions = [{"type": "fixed_amount", "amount": 100}], [{"type": "usage", "total": 5}]
    rules = [
        {"id": f"r{number}", "name": {"en": "a", "ru": "a"}, "effects": effects, "conditions": conditions}
        for number in range(1_001)
    ]
    file = tmp_path / "program.json"
    file.write_text(json.dumps({"currency": "RUB", "rules": rules}))
    assert "1001 totals and budgets" in commands.refused("program", "check", str(file))
    assert "1000 at most" in commands.refused("program", "publish", str(file))
    file.write_text(json.dumps({"currency": "RUB", "rules": rules[1:]}))
    assert commands.json("program", "check", str(file))["rules"] == 1_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"model": "points"}', "lacks currency"),
        ('{"currency": "RUB", "model": "magic"}', "model in program should be"),
        ('{"currency": "USD"}', "counts in USD, the network in RUB"),
        ('{"currency": "RUB", "point_value": 1.5}', "point_value should be integer"),
        ('{"currency": "RUB", "bonuses": {"birthday": {"points": 0}}}', "points in"),
        (
            '{"currency": "RUB", "bonuses": {"birthday": {"points": 5, "day": 1}}}',
            "day in bonuses.birthday means nothing",
        ),
        (
            '{"currency": "RUB", "modell": "points", "tier": 1}',
            "modell in program means nothing: is it mistyped? (And 1",
        ),
        ('{"currency": "RUB", "rules": [{"id": "a"}]}', "rule a has no effect"),
        ('{"currency": "RUB", "rules": [{"id": "a", "effects": [{"type": "beam"}]}]}', "beam in rule a is not known"),
        ('{"currency": "RUB", "point_value": "5 USD"}', "is in USD, the program in RUB"),
        ("[1]", "must hold one object"),
        ("{", "is no JSON, see line 1"),
        ("\udcff", "is not text"),
        ("", "is empty"),
    ],
)
def test_a_wrong_program_gets_a_sentence_and_changes_nothing(
    commands: Commands, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "p.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert said in commands.refused("program", "publish", str(file))
    assert commands.json("program", "show")["version"] == 1


@pytest.mark.parametrize("name", ["coffee", "kids", "salon", "restaurant"])
def test_the_example_programs_that_are_quoted_can_be_published(commands: Commands, name: str) -> None:
    file = assets.path("demo", name, "program.toml")
    said = commands.json("program", "check", str(file))
    assert (said["ok"], said["warnings"]) == (True, [])
    assert commands.json("program", "publish", str(file))["version"] == 2
    rules = commands.json("program", "show")["program"]["rules"]
    assert all(isinstance(one.get("rate_bp", 0), int) for rule in rules for one in rule["effects"])


def test_what_may_be_meant_is_warned_of_and_published(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "currency: RUB\nrules:\n  - {id: gift, effects: [{type: percentage, rate_bp: 100%}], name: {en: All}}\n"
    )
    assert commands.json("program", "publish", str(file))["version"] == 2
    out, said = commands.run("program", "check", str(file))
    assert "in order" in out
    assert "Warning: In the program, rule gift gives everything for nothing" in said
    assert "no name in: ru" in said


def test_tills_are_suspended_resumed_and_revoked_for_good(commands: Commands) -> None:
    till = commands.live(lambda world: world.till())
    device = str(till.device)
    assert commands.json("till", "suspend", device)["state"] == "suspended"
    assert commands.json("till", "suspend", device)["state"] == "suspended"
    assert commands.json("till", "resume", device)["state"] == "active"
    assert commands.json("till", "revoke", device, "--yes")["state"] == "revoked"
    assert "a till that is revoked" in commands.refused("till", "resume", device)
    assert "There is no till" in commands.refused("till", "suspend", str(uuid4()))


def test_a_record_set_aside_is_waived_by_name_and_never_deleted(commands: Commands) -> None:
    async def late_sale(world: World) -> FakeTill:
        till = await world.till(state="revoked")
        (guest,) = await world.guests()
        till.sale(guest.id, earned=10)
        await world.push(till)
        return till

    till = commands.live(late_sale)
    found = commands.json("quarantine", "list")["quarantine"]
    assert [one["reason"] for one in found] == ["AFTER_REVOCATION"] * 2
    number = str(found[1]["id"])
    assert commands.json("quarantine", "show", number)["record"] == str(till.journal[1].id)
    why = ("--by", "Anna", "--note", "the till was stolen")
    assert "No manager or owner" in commands.refused("quarantine", "waive", number, *why)
    made = commands.json("create-manager", "Anna", "--login", "anna@cafe", typed="correct horse battery\n")
    assert commands.json("quarantine", "waive", number, *why) == {"id": found[1]["id"], "state": "waived"}
    assert "settled already" in commands.refused("quarantine", "waive", number, *why)
    assert "Say why" in commands.refused("quarantine", "waive", str(found[0]["id"]), "--by", made["id"], "--note", " ")
    assert "no record 999" in commands.refused("quarantine", "show", "999")
    assert len(commands.json("quarantine", "list")["quarantine"]) == 1
    settled = commands.json("quarantine", "list", "--all")["quarantine"]
    assert [(one["state"], one["note"], one["resolver"]) for one in settled] == [
        ("open", "", None),
        ("waived", "the till was stolen", made["id"]),
    ]


def test_what_a_revoked_till_recorded_is_released_up_to_a_record_by_name(commands: Commands) -> None:
    async def late_sales(world: World) -> None:
        till = await world.till(state="revoked")
        (guest,) = await world.guests()
        for _ in range(2):
            till.sale(guest.id, earned=10)
        await world.push(till)

    commands.live(late_sales)
    numbers = [one["id"] for one in commands.json("quarantine", "list")["quarantine"]]
    commands.json("create-manager", "Anna", "--login", "anna@cafe", typed="correct horse battery\n")
    why = ("--by", "Anna", "--note", "it was in the other kitchen")
    assert commands.json("quarantine", "release", str(numbers[1]), *why) == {
        "id": numbers[1], "posted": 2, "waiting": 0, "refused": 0,
    }  # fmt: skip
    assert [one["id"] for one in commands.json("quarantine", "list")["quarantine"]] == numbers[2:]
    assert "settled already" in commands.refused("quarantine", "release", str(numbers[1]), *why)


def test_an_exception_is_listed_and_resolved_once(commands: Commands) -> None:
    async def overdraw(world: World) -> None:
        till = await world.till()
        (guest,) = await world.guests()
        till.sale(guest.id, redeemed=10)
        await world.push(till)

    commands.live(overdraw)
    commands.json("create-manager", "Anna", "--login", "anna", typed="correct horse battery\n")
    (found,) = commands.json("exceptions", "list", "--kind", "overdraft")["exceptions"]
    assert found["facts"] == {"points": 10}
    assert commands.run("exceptions", "list")[0].splitlines()[1] == f"OVERDRAFT: {EXCEPTIONS[ExceptionKind.OVERDRAFT]}"
    assert EXCEPTIONS.keys() == set(ExceptionKind)
    resolve = ("exceptions", "resolve", str(found["id"]), "--by", "Anna", "--note", "talked to the guest")
    assert commands.json(*resolve)["state"] == "resolved"
    assert "resolved already" in commands.refused(*resolve)
    assert commands.json("exceptions", "list", "--kind", "OVERDRAFT")["exceptions"] == []


def test_a_key_is_published_a_week_ahead_and_the_last_one_stays(
    commands: Commands, tmp_path: Path, admin: psycopg.Connection
) -> None:
    root = tmp_path / "root.txt"
    root.write_text(sheet_text(SheetKind.ROOT, commands.made.root_private))
    assert [one["kid"] for one in commands.json("keys", "show")["keys"]] == [1]
    typed = root.read_text() + "\n"
    assert commands.json("keys", "publish", typed=typed)["version"] == 2
    assert "the only one in use" in commands.refused("keys", "revoke", "1", "--root-file", str(root))
    assert commands.json("keys", "publish", "--at-once", "--root-file", str(root))["version"] == 3
    revoked = commands.json("keys", "revoke", "1", "--root-file", str(root))
    assert [one["revoked_at"] is not None for one in revoked["keys"]] == [True, False, False]
    assert "no key 1" in commands.refused("keys", "revoke", "1", "--root-file", str(root))
    other = sheet_text(SheetKind.ROOT, bytes(32))
    assert "another network" in commands.refused("keys", "publish", typed=other + "\n")
    assert "another sheet" in commands.refused("keys", "publish", typed="LDSX-1111\n")
    assert admin.execute("select max(version), count(*) from keyset").fetchone() == (4, 4)


def test_tiers_are_not_dropped_in_passing(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "program.toml"
    tiers = '[[tiers]]\ncode = "BASE"\n[[tiers]]\ncode = "GOLD"\nthreshold = 10\ndiscount_bp = 500\n'
    file.write_text(f'currency = "RUB"\nmodel = "mixed"\n{tiers}')
    assert commands.json("program", "publish", str(file))["version"] == 2
    for text, dropped in (
        ('currency = "RUB"\n', "BASE, GOLD"),
        ('currency = "RUB"\n[[tiers]]\ncode = "BASE"\n', "GOLD"),
    ):
        file.write_text(text)
        for said in (commands.refused("program", "publish", str(file)),
                     commands.refused("program", "publish", str(file), "--json")):  # fmt: skip
            assert said.startswith(f"The program in force has the tiers {dropped}, this one does not")
            assert "--drop-tiers" in said
    assert commands.json("program", "show")["version"] == 2
    assert commands.json("program", "publish", str(file), "--drop-tiers") == {
        **commands.json("program", "publish", str(file)), "new": True
    }  # fmt: skip
    assert [one["code"] for one in commands.json("program", "show")["program"]["tiers"]] == ["BASE"]


def test_a_segment_that_nobody_can_be_in_is_refused_by_its_rule(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "program.toml"
    file.write_text(
        'currency = "RUB"\n[[rules]]\nid = "weekly"\nname = { ru = "A", en = "A" }\n'
        'effects = [{ type = "percentage", rate_bp = "10%" }]\n'
        'conditions = [{ type = "segments", segments = ["regulars"] }]\n'
    )
    for what in ("check", "publish"):
        assert commands.refused("program", what, str(file)) == (
            "In the program, segments in rule weekly names no segment: regulars."
            " There are: new, one_time, regular, vip."
        )


def test_a_cashier_gets_a_pin_that_is_kept_hashed_and_a_manager_a_longer_one(
    commands: Commands, admin: psycopg.Connection
) -> None:
    assert "4 to 8 digits" in commands.refused("staff", "add", "Anna", typed="abc\n")
    assert "6 to 8 digits" in commands.refused("staff", "add", "Boris", "--role", "manager", typed="1234\n")
    assert "one of cashier" in commands.refused("staff", "add", "Boris", "--role", "king", typed="123456\n")
    assert admin.execute("select count(*) from staff").fetchone() == (0,)
    assert commands.run("staff", "list")[0] == 'Nobody works here yet: loyalty-server staff add "NAME"\n'
    made = commands.json("staff", "add", "Anna", typed="4711\n")
    again = commands.json("staff", "add", "Anna", typed="4712\n")
    assert (made["id"], made["role"]) == (again["id"], "cashier")
    (stored,) = admin.execute("select pin_hash from staff").fetchall()
    assert stored[0].startswith("$argon2id$")
    assert [one["name"] for one in commands.json("staff", "list")["staff"]] == ["Anna"]


def test_a_pin_of_a_wrong_length_is_refused_at_once_and_asked_for_again(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(*typed: str) -> None:
        answers = iter(typed)

        def prompt(text: str, **options: object) -> str:
            assert options["hide_input"]
            asked.append(text)
            return next(answers)

        asked.clear()
        monkeypatch.setattr("server.cli_people.typer.prompt", prompt)

    monkeypatch.setattr("server.cli_people._is_typed", lambda: True)
    answer("123456", "654321", "123", "123456", "123456")
    out, err = commands.run("staff", "add", "Boris", "--role", "manager")
    assert asked == [
        "PIN of Boris, a manager: 6 to 8 digits", "The same PIN again",
        "PIN of Boris, a manager: 6 to 8 digits",
        "PIN of Boris, a manager: 6 to 8 digits", "The same PIN again",
    ]  # fmt: skip
    assert err == "The two PINs differ. Type it anew.\nA PIN has 6 to 8 digits.\n"
    assert out == "Boris: manager, with a PIN.\n"
    # Whoever is known keeps the role, so the question is the right one from the beginning.
    answer("111", "222222", "222222")
    assert commands.run("staff", "add", " Boris ")[1] == "A PIN has 6 to 8 digits.\n"
    assert {*asked} == {"PIN of Boris, a manager: 6 to 8 digits", "The same PIN again"}
    answer("4711", "4711")
    commands.run("staff", "add", "Anna")
    assert asked[0] == "PIN of Anna, a cashier: 4 to 8 digits"
    # A name or a store that cannot be is refused before anything is asked.
    answer()
    assert "A name has 1 to 100" in commands.refused("staff", "add", " ")
    nobody = "00000000-0000-4000-8000-000000000000"
    assert "There is no store" in commands.refused("staff", "add", "Olga", "--store", nobody)
    assert asked == []


def test_a_weak_password_is_refused_before_it_is_typed_again(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    good = "a long enough password"
    answers = iter(["short", "olga@cafe.example", good, "another good password", good, good])

    def prompt(text: str, **options: object) -> str:
        assert options["hide_input"]
        asked.append(text)
        return next(answers)

    monkeypatch.setattr("server.cli_staff.typer.prompt", prompt)
    monkeypatch.setattr("server.cli_staff._is_typed", lambda: True)
    err = commands.run("create-manager", "Olga", "--login", "olga@cafe.example")[1]
    assert asked == [
        "Password",
        "Password",
        "Password",
        "The same password again",
        "Password",
        "The same password again",
    ]
    weak, also_weak, differ = err.splitlines()
    assert weak == also_weak
    assert weak.startswith("A password has 12 to 200 characters")
    assert differ == "The two passwords differ. Type it anew."
    assert list(answers) == []
    # A login that cannot be is refused before anything is asked.
    assert "A login has 1 to" in commands.refused("create-manager", "Olga", "--login", "")
    assert good not in err


def test_a_manager_needs_a_password_of_their_own(commands: Commands, admin: psycopg.Connection) -> None:
    create = ("create-manager", "Olga", "--login", "Olga@Cafe.example", "--role", "owner")
    assert "12 to 200 characters" in commands.refused(*create, typed="short\n")
    assert "12 to 200 characters" in commands.refused(*create, typed="\n")
    assert "12 to 200 characters" in commands.refused(*create, typed="olga@cafe.example\n")
    assert admin.execute("select count(*) from staff").fetchone() == (0,)
    made = commands.json(*create, typed="a long enough password\n")
    assert made["login"] == "olga@cafe.example"
    again = commands.json(*create, typed="another good password\n")
    assert again["id"] == made["id"]
    taken = ("create-manager", "Ivan", "--login", "OLGA@cafe.example")
    assert "Somebody else logs in" in commands.refused(*taken, typed="a long enough password\n")
    stored = admin.execute("select password_hash from staff_login").fetchall()
    assert len(stored) == 1
    assert stored[0][0].startswith("$argon2id$")
