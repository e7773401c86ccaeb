"""Lists of guests, two guests who are one, a guest who wants to be forgotten: by the commands, on a real database."""

import asyncio
import csv
import json
import os
from datetime import date
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import ld1
from server.guests import lists
from server.guests.leaving import LIST, erase_again
from server.guests.service import Registered
from server.kit.ground import ground as open_ground
from server.sentences import sentence
from tests.server.commands import Commands
from tests.server.world import World

pytestmark = pytest.mark.postgres


def balances(admin: psycopg.Connection) -> dict[UUID, int]:
    return dict(admin.execute("select guest_id, posted from account where kind = 'guest'").fetchall())


def in_order(commands: Commands) -> None:
    assert "verify: ok" in commands.run("verify")[0]


async def two_guests(world: World) -> list[Registered]:
    """Two guests with points, one of whom owes some; each with a check."""
    made = await world.guests(1, phone="+79161234567")
    made += await world.guests(2)
    till = await world.till()
    till.sale(made[0].id, earned=70, total=5_000)
    till.sale(made[1].id, earned=100, total=7_000)
    till.sale(made[2].id, redeemed=40)
    await world.push(till)
    return made


def test_a_merge_moves_points_debts_cards_visits_and_leaves_an_alias(
    commands: Commands, admin: psycopg.Connection
) -> None:
    first, second, debtor = commands.live(two_guests)
    merge = ("guests", "merge", first.member_no, "--into", str(second.id))
    assert commands.json(*merge)["survivor"] == str(second.id)
    again = commands.json("guests", "merge", str(first.id), "--into", str(second.id))
    assert again["survivor"] == str(second.id), "again it changes nothing"
    assert balances(admin) == {first.id: 0, second.id: 170, debtor.id: -40}
    assert commands.json("guests", "merge", str(debtor.id), "--into", str(second.id))["survivor"] == str(second.id)
    assert balances(admin) == {first.id: 0, second.id: 130, debtor.id: 0}
    row = admin.execute("select spend, visits, visits_ever from guest_state where guest_id = %s", (second.id,))
    assert row.fetchone() == (22_000, 3, 3)
    for code in (ld1(first.handles[0]), first.member_no):
        found = commands.json("statement", "--guest", code)
        assert (found["guest"], found["balance"]) == (str(second.id), 130)
    phones = dict(admin.execute("select id, phone_last4 from guest").fetchall())
    assert (phones[first.id], phones[second.id]) == (None, "4567")
    assert "is this guest already" in commands.refused("guests", "merge", str(second.id), "--into", str(first.id))
    assert "is this guest already" in commands.refused("guests", "merge", str(second.id), "--into", str(second.id))
    in_order(commands)

    async def late(world: World) -> None:
        till = await world.till()
        till.sale(first.id, earned=5)
        await world.push(till)

    commands.live(late)
    assert balances(admin)[second.id] == 135, "what a till sends for the old id goes to the survivor"
    in_order(commands)


def test_an_erased_guest_is_gone_and_stays_gone_when_an_older_backup_comes_back(
    commands: Commands, admin: psycopg.Connection
) -> None:
    first, second, _ = commands.live(two_guests)
    commands.json("guests", "merge", str(first.id), "--into", str(second.id))
    kept = {
        table: admin.execute(f"select * from {table}").fetchall()
        for table in ("guest_key", "credential", "guest_state")
    }
    assert kept["guest_key"]
    assert commands.json("guests", "erase", str(second.id), "--yes")["cards"] == 2
    gone = (first.id, second.id)
    for question in (
        "select count(*) from guest_key where guest_id = any(%s)",
        "select count(*) from credential where guest_id = any(%s)",
        "select count(*) from guest where id = any(%s) and coalesce(name_sealed, phone_hash) is not null",
        "select count(*) from guest where id = any(%s) and coalesce(member_no, phone_last4) is not null",
        "select count(*) from feed where key = any(%s::text[]) and digest is not null",
    ):
        assert admin.execute(question, (list(gone),)).fetchone() == (0,), question
    assert "Nobody in this network" in commands.refused("statement", "--guest", ld1(first.handles[0]))
    in_order(commands)
    # A backup from before: the state is as it was, the list outside is not.
    admin.execute("update guest_state set deleted = false")
    listed = Path(str(commands.settings.witness_dir)).glob(f"{LIST}-*")
    assert [json.loads(line)["guest"] for file in listed for line in file.read_text().splitlines() if line] == [
        str(second.id)
    ]

    async def again() -> tuple[int, int]:
        async with open_ground(commands.settings, commands.base) as ground:
            return await erase_again(ground), await erase_again(ground)

    assert asyncio.run(again()) == (1, 0)
    deleted = admin.execute("select count(*) from guest_state where deleted").fetchone()
    assert deleted == (2,)


def test_a_list_is_taken_in_once_and_given_out_as_it_was(
    commands: Commands, tmp_path: Path, admin: psycopg.Connection
) -> None:
    file = tmp_path / "guests.csv"
    file.write_text(
        "name,phone,birthday,member_no,card,tier,points,spend,visits\n"
        "Анна,+7 916 123-45-67,1990-05-17,1000000016,LD104HMASW9NF6YY54,GOLD,150,900000,12\n"
        "Борис,,,,,,,,\n"
    )
    assert commands.json("guests", "import", str(file)) == {"new": 2, "known": 0}
    assert commands.json("guests", "import", str(file)) == {"new": 0, "known": 2}
    out = tmp_path / "out.csv"
    assert commands.json("guests", "export", str(out))["guests"] == 2
    assert out.stat().st_mode & 0o077 == 0
    lines = sorted(line.partition(",")[2] for line in out.read_text().splitlines()[1:])
    assert lines[0] == "Анна,+79161234567,1990-05-17,1000000016,LD104HMASW9NF6YY54,GOLD,150,900000,12"
    assert lines[1].startswith("Борис,,,")
    assert "There is a file" in commands.refused("guests", "export", str(out))
    assert commands.json("guests", "code", "1000000016")["codes"] == ["LD104HMASW9NF6YY54"]
    assert admin.execute("select sum(posted) from account").fetchone() == (0,)
    assert admin.execute("select opening_spend from guest_state where tier = 'GOLD'").fetchone() == (900_000,)
    in_order(commands)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nom,phone\nx,1\n", "Not known: nom"),
        ("", "names its columns"),
        ("name,phone\nAnna,12\n", "Line 2 of the list is not understood: phone"),
        ("name,points\nA,1\nB,1.5\n", "Line 3 of the list is not understood: points"),
        ("name,birthday\nA,31.02.1990\n", "birthday should be a day like 1990-05-17 or 17.05.1990."),
        ("name,birthday\nA,05/17/1990\n", "birthday should be a day like 1990-05-17 or 17.05.1990."),
        ("name,phone\nA,none\n", "phone should be like +79161234567."),
        ("name,card\nA,LD1ZZ\n", "card should be"),
        ("name,member_no\nA,123\n", "member_no should be"),
        ("name\nA,B,C\n", "as many fields as the header"),
        ('name,phone\n"A,\nB,\n', "Line 2 of the list is not understood: it should have closed quotes."),
        (f"name\n{'A' * 200_000}\n", "Line 2 of the list"),
        ("name\n" + "A\n" * 600 + "B" * 101 + "\n", "Line 602 of the list is not understood: name"),
        ("name\nA\x1b[31mB\n", "Line 2 of the list is not understood: name"),
        ("name\nA\0B\n", "is not text in UTF-8"),
        ("name,birthday\nA,2999-01-01\n", "birthday should be in the past"),
        ("name,points\nA,1000000000000\n", "Line 2 of the list is not understood: points"),
        ("name,member_no\nA,1000000016\nB,1000000016\n", "Line 3 of the list is not understood: member_no"),
        ("name,phone\nA,+79161234567\nB,+79161234567\n", "Line 3 of the list is not understood: phone"),
        ("phone,card\n,LD104HMASW9NF6YY54\n+79161234567,LD104HMASW9NF6YY54\n", "card should be another one"),
    ],
)
def test_a_wrong_list_names_the_line_and_takes_nobody_in(
    commands: Commands, tmp_path: Path, admin: psycopg.Connection, text: str, said: str
) -> None:
    file = tmp_path / "guests.csv"
    file.write_text(text)
    assert said in commands.refused("guests", "import", str(file))
    assert admin.execute("select count(*) from guest").fetchone() == (0,)


def test_all_wrong_lines_of_a_list_are_named_at_once_up_to_a_bound(
    commands: Commands, tmp_path: Path, admin: psycopg.Connection
) -> None:
    file = tmp_path / "guests.csv"
    file.write_text("name,phone,points\nA,12,\nB,,3\nC,+79161234567,1.5\nD,+79161234567,\nE,+79161234567,\nF,,,,\n")
    out, err = commands.run("guests", "import", str(file), code=1)
    assert not out
    told = err.splitlines()
    assert [line.split(" of ")[0] for line in told[:-1]] == ["Line 2", "Line 4", "Line 6", "Line 7"]
    assert told[-1] == "4 lines of the list are wrong, the first 4 are named. Nobody has been taken in."
    file.write_text("name,points\n" + "A,x\n" * 50 + '"open')
    out, err = commands.run("guests", "import", str(file), code=1)
    assert len(err.splitlines()) == lists.MOST_NAMED + 1
    assert "51 lines of the list are wrong, the first 20 are named." in err
    assert admin.execute("select count(*) from guest").fetchone() == (0,)


def test_birthdays_come_as_people_write_them(tmp_path: Path) -> None:
    file = tmp_path / "guests.csv"
    file.write_text("name,birthday\nA,17.05.1990\nB,1990-05-17\nC,1.2.1980\nD,\n")
    born = [one.guest.birthday for one in lists.read(file)]
    assert born == [date(1990, 5, 17), date(1990, 5, 17), date(1980, 2, 1), None]


def test_a_list_of_too_many_guests_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_LINES", 2)
    file = tmp_path / "guests.csv"
    file.write_text("name\nA\nB\n")
    assert len(lists.read(file)) == 2
    file.write_text("name\nA\nB\nC\n")
    with pytest.raises(BadInput, match="list_too_long") as refused:
        lists.read(file)
    assert sentence(refused.value) == "The list has more than 2 guests. Import it in parts."


@pytest.mark.parametrize("text", ["name\nАнна\n".encode("cp1251"), "name\nАнна\n".encode("utf-16"), b"\xff\xfe"])
def test_a_list_in_another_encoding_is_named_so(commands: Commands, tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "guests.csv"
    file.write_bytes(text)
    assert "is not text in UTF-8" in commands.refused("guests", "import", str(file))


def test_what_is_no_file_or_too_large_is_not_read(commands: Commands, tmp_path: Path) -> None:
    pipe, huge = tmp_path / "pipe", tmp_path / "huge.csv"
    os.mkfifo(pipe)
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    for path, said in ((pipe, "cannot be read"), (huge, "is larger than"), (tmp_path, "cannot be read")):
        assert said in commands.refused("guests", "import", str(path))


def test_a_name_that_a_spreadsheet_would_calculate_is_text_there_and_a_name_here(
    commands: Commands, tmp_path: Path, admin: psycopg.Connection
) -> None:
    first, again = tmp_path / "first.csv", tmp_path / "again.csv"
    names = ["=HYPERLINK(1)", "+7 Anna", "-5", "@Anna", "'Anna", "O'Neil"]
    first.write_text("name;phone\n" + "".join(f"{name};\n" for name in names))
    assert commands.json("guests", "import", str(first))["new"] == len(names)
    commands.json("guests", "export", str(again))
    with again.open(newline="") as file:
        given = {row["name"] for row in csv.DictReader(file)}
    assert given == {"'=HYPERLINK(1)", "'+7 Anna", "'-5", "'@Anna", "'Anna", "O'Neil"}
    assert {one.guest.name for one in lists.read(again)} == set(names)


def test_a_card_of_somebody_who_is_not_in_the_list_is_told(
    commands: Commands, tmp_path: Path, admin: psycopg.Connection
) -> None:
    file = tmp_path / "guests.csv"
    file.write_text("name,card\nAnna,LD104HMASW9NF6YY54\n")
    commands.json("guests", "import", str(file))
    ((number,),) = admin.execute("select member_no from guest").fetchall()
    file.write_text("name,phone,card\nBoris,+79161234567,LD104HMASW9NF6YY54\n")
    assert commands.refused("guests", "import", str(file)) == (
        "Line 2 of the list: the card LD104HMASW9NF6YY54 is a guest's already who is not in it."
    )
    # Nobody at all is taken in, not even of the hundreds before the line that is wrong.
    rows = "".join(f"G{n},,,\n" for n in range(600))
    file.write_text(
        f"name,member_no,card,phone\n{rows}Boris,,LD104HMASW9NF6YY54,+79161234567\nClara,{number},LD1G4HMASW9NF6YY7H,\n"
    )
    _, err = commands.run("guests", "import", str(file), code=1)
    assert [line.partition(" of ")[0] for line in err.splitlines()] == ["Line 602", "Line 603", "2 lines"]
    assert admin.execute("select count(*) from guest").fetchone() == (1,)
