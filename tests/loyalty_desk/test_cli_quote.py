"""The manager's commands: from files to a table or JSON, and one sentence for whatever is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loyalty_desk.cli_quote import app

PROGRAM = """
currency = "RUB"
version = 3
zone = "Europe/Moscow"
model = "mixed"
point_value = 100
redemption = { max_share_bp = "50%" }
tiers = [{ code = "GOLD", name = { ru = "Золото", en = "Gold" }, discount_bp = "10%", earn_bp = "5%" }]
[[rules]]
id = "tea"
name = { ru = "Чай дешевле", en = "Tea for less" }
effects = [{ type = "fixed_amount", per = "unit", amount = "45.50 RUB" }]
conditions = [{ type = "categories", categories = ["tea"] }, { type = "hours", from = 08:00:00, to = 11:00:00 }]
[[rules]]
id = "big"
name = { ru = "За большой чек", en = "For a big check" }
effects = [{ type = "fixed_amount", amount = "100 RUB" }]
conditions = [{ type = "amount", min = "1000 RUB" }]
"""
CHECK = """
currency: RUB
at: 2026-03-02T09:00
lines:
  - {id: "1", product: Sencha, category: tea, quantity: 2, price: 310}
  - {id: "2", product: Cheese, quantity: 0.350, price: 899.90}
"""
GUEST = '{"tier": "GOLD", "points": 500}'


@pytest.fixture
def files(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.toml").write_text(PROGRAM, "utf-8")
    (tmp_path / "c.yaml").write_text(CHECK, "utf-8")
    (tmp_path / "g.json").write_text(GUEST, "utf-8")
    return tmp_path


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def run(*arguments: str, stdin: str | bytes = ""):
    result = CliRunner().invoke(app, list(arguments), input=stdin, env={"COLUMNS": "120"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


QUOTE = ("quote", "--program", "p.toml", "--check", "c.yaml", "--guest", "g.json")


def test_a_quote_is_a_table_that_a_person_can_read(files):
    shown = plain(run(*QUOTE, "--redeem", "100", "--lang", "en").stdout)
    for part in ("Sencha", "0.35", "Tea for less", "91.00 off", "Guest’s tier", "For a big check", "Paid with points"):
        assert part in shown
    assert "needs 1,000.00, this check has 843.97: 156.03 more" in shown


def test_the_same_in_russian(files):
    shown = plain(run(*QUOTE, "--redeem", "1000", "--lang", "ru").stdout)
    for part in (
        "Чай дешевле",
        "Уровень гостя",
        "не хватает 156,03",
        "К оплате",
        "Баллы: просили 1 000, можно списать",
    ):
        assert part in shown


def test_a_quote_as_json_can_be_returned(files):
    answer = json.loads(run(*QUOTE, "--redeem", "100", "--json").stdout)
    quoted = answer["quote"]
    assert quoted["redeemed_points"] == 100
    assert quoted["gross"] == 62_000 + 31_497
    (files / "sale.json").write_text(json.dumps(answer), "utf-8")
    one = json.loads(run("refund", "--sale", "sale.json", "--return", "1:1", "--json").stdout)
    rest = json.loads(run("refund", "--sale", "sale.json", "--void", "--json").stdout)
    assert rest["money"] == quoted["total"]
    assert rest["spent_returned"] == 100
    assert rest["earned_reversed"] == quoted["earned_points"]
    assert 0 < one["money"] < rest["money"]
    shown = run("refund", "--sale", "sale.json", "--return", "2:0.1", "--lang", "ru").stdout
    assert "Возврат денег" in shown
    assert "Cheese" in shown


def test_a_line_comes_back_by_its_place_where_its_id_is_another(files):
    check = {"currency": "RUB", "lines": [{"id": "b-7", "product": "Cup", "price": 5}, {"product": "Tea", "price": 9}]}
    sale = run("quote", "--program", "p.toml", "--json", stdin=json.dumps(check)).stdout
    by_id, by_place, second = (
        json.loads(run("refund", "--return", line, "--json", stdin=sale).stdout) for line in ("b-7", "1", "2")
    )
    assert by_id == by_place
    assert (by_id["money"], second["money"]) == (500, 900)


def test_a_bare_total_comes_back_by_amount(files):
    sale = run("quote", "--program", "p.toml", "--json", stdin='{"currency": "RUB", "amount": 1200}').stdout
    back = json.loads(run("refund", "--amount", "100", "--json", stdin=sale).stdout)
    assert (back["how"], back["money"]) == ("amount", 10_000)


def test_a_sale_that_was_changed_is_refused(files):
    answer = json.loads(run(*QUOTE, "--json").stdout)
    answer["check"]["lines"][0]["net"] += 1
    result = run("refund", "--void", "--lang", "en", stdin=json.dumps(answer))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "standard input: the sale has been changed: net is not what the program gives.\n"


def test_lots_of_points(files):
    ledger = """
    expiry: {type: days, days: 90}
    moves:
      - {move: earn, id: first, at: 2026-01-01T12:00, points: 575}
      - {move: spend, id: sale, at: 2026-01-02T12:00, points: 500}
      - {move: earn, id: second, at: 2026-01-10T12:00, points: 805}
      - {move: return, id: void, of: sale, at: 2026-06-01T12:00, points: 500}
    """
    found = json.loads(run("points", "--at", "2026-02-01T00:00", "--json", stdin=ledger).stdout)
    assert (found["available"], found["balance"], [lot["remaining"] for lot in found["lots"]]) == (880, 880, [75, 805])
    assert "880 баллов" in plain(run("points", "--at", "2026-02-01", "--lang", "ru", stdin=ledger).stdout)
    later = json.loads(run("points", "--at", "2026-06-01T12:00", "--json", stdin=ledger).stdout)
    assert (later["available"], later["balance"]) == (500, 1_380)


def test_tiers_with_the_restaurant_of_the_examples(files):
    guest = json.dumps(
        {
            "checks": [
                {"at": "2026-01-10T12:00", "paid": 25_000},
                {"at": "2026-02-10T12:00", "paid": 27_000, "returned": [{"at": "2026-02-12", "money": 5_000}]},
            ]
        }
    )
    found = json.loads(run("tier", "--at", "2026-03-01T12:00", "--json", stdin=guest).stdout)
    assert (found["tier"], found["measured"], found["falls_to"], found["next_tier"]) == (
        "GOLD", 4_700_000, "SILVER", "PLATINUM",
    )  # fmt: skip
    assert [change["after"] for change in found["history"]] == ["SILVER", "GOLD"]
    shown = run("tier", "--at", "2026-03-01T12:00", "--lang", "ru", stdin=guest).stdout
    assert "Золото" in shown
    assert "В файле стоит" not in shown
    stated = json.dumps({**json.loads(guest), "tier": "VIP"})
    told = plain(run("tier", "--at", "2026-03-01T12:00", "--lang", "en", stdin=stated).stdout)
    assert "Tier Gold" in " ".join(told.split())
    assert "The file gives the tier VIP; a tier is worked out from paid checks and tiers by hand." in told
    assert json.loads(run("tier", "--json", stdin=stated).stdout)["stated"] == "VIP"
    assert "52 000,00 ₽" in plain(shown)


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (("--program", "p.toml"), "{", "standard input: line 1: this is not JSON."),
        (("--program", "p.toml"), '{"currency": "RUB"}', "standard input: a check has either lines or an amount."),
        (("--program", "p.toml"), '{"currency": "RUB", "lines": [{"price": -5}]}',
         "standard input: lines[1].price: an amount cannot be negative."),
        (("--program", "p.toml"), '{"currency": "QQQ", "amount": 5}', "standard input: the currency QQQ is not known."),
        (("--program", "p.toml"), '{"currency": "USD", "amount": 5}', "The check is in USD, the program in RUB."),
        (("--program", "p.toml"), '{"currency": "RUB", "lines": [{"price": 5, "currency": "EUR"}]}',
         "standard input: lines[1]: two currencies in one check: RUB and EUR."),
        (("--program", "p.toml"), json.dumps({"currency": "RUB", "lines": [{"price": 1}] * 1_001}),
         "standard input: 1001 lines, 1000 at most."),
        (("--program", "p.toml"), " " * 1_000_001, "standard input: is larger than 1 MB."),
        (("--program", "none.toml"), "", "none.toml: cannot be read: No such file or directory."),
        (("--program", "-", "--check", "-"), "", "Only one file can come from standard input."),
        (("--program", "p.toml", "--redeem", "many"), '{"currency": "RUB", "amount": 5}',
         "“many” is not a number of points."),
        (("--program", "p.toml", "--at", "noon"), '{"currency": "RUB", "amount": 5}',
         "“noon” is not a time: write it like 2026-03-02T12:00+03:00."),
        (("--check", "c.yaml", "--program", "-"), 'currency = "RUB"\nversion = 1\nmodel = "cashback"\n',
         "standard input: program: model should be one of: discount, points, mixed."),
        (("--check", "c.yaml", "--program", "-"),
         'currency = "RUB"\nversion = 1\n[[rules]]\nid = "x"\neffects = [{ type = "percentage", rate_bp = "120%" }]\n',
         "standard input: rule x.effects[1]: rate_bp should be a whole number from 0 to 10000."),
        (("--check", "c.yaml", "--program", "-"), 'currency = "RUB"\nversion = 1\npoint_value = "5 USD"\n',
         "standard input: point_value: two currencies in one check: RUB and USD."),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_with_its_place(files, arguments, stdin, sentence):
    result = run("quote", *arguments, "--lang", "en", stdin=stdin)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", sentence + "\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Choose one of --return, --amount and --void."),
        (("--void", "--amount", "5"), "Choose one of --return, --amount and --void."),
        (("--return", "7"), "The sale has no line 7, but: 1 Sencha, 2 Cheese."),
        (("--return", "1:3"), "More than is left of the sale."),
        (("--return", "1:0"), "Line 1: this quantity cannot be returned."),
        (("--return", "1:x"), "“1:x” is not a line to return: write LINE or LINE:QUANTITY."),
        (("--amount", "10"), "This sale has lines: name those that come back."),
        (("--amount", "ten"), "“ten” is not an amount."),
    ],
)
def test_a_return_that_cannot_be_made_is_one_sentence(files, arguments, sentence):
    sale = run(*QUOTE, "--json").stdout
    result = run("refund", *arguments, "--lang", "en", stdin=sale)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", sentence + "\n")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"price": 1, "\x1b[31mx": 2}, "lines[1]: the field ?[31mx is not known."),
        ({"price": 1, "a\nb\u202e": 2}, "lines[1]: the field a?b? is not known."),
        ({"price": 1, "id": "x" * 900}, f"line 2: the id {'x' * 200}… is there twice."),
    ],
)
def test_a_name_from_a_file_breaks_no_line_and_speaks_to_no_terminal(files, line, said):
    typed = json.dumps({"currency": "RUB", "lines": [line, line]})
    result = run("quote", "--program", "p.toml", "--lang", "en", stdin=typed)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"standard input: {said}\n")


@pytest.mark.parametrize("stdin", ["{}", '{"quote": {}, "check": {}, "program": {}}', "[]", "quote: 1"])
def test_what_is_no_sale_is_refused(files, stdin):
    result = run("refund", "--void", stdin=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1


def test_a_process_of_its_own_answers_on_the_right_streams(files):
    command = [sys.executable, "-m", "loyalty_desk.cli_quote", "quote", "--program", "p.toml", "--lang", "ru"]
    bad = subprocess.run(command, input=b"\xff", capture_output=True, check=False)
    assert (bad.returncode, bad.stdout) == (2, b"")
    assert bad.stderr.decode() == "standard input: это не текст в UTF-8.\n"
    good = subprocess.run(command, input=b'{"currency": "RUB", "amount": 5}', capture_output=True, check=False)
    assert (good.returncode, good.stderr) == (0, b"")
    assert "К оплате" in good.stdout.decode()


@pytest.mark.skipif(os.name != "posix", reason="closes a file descriptor between fork and exec")
def test_a_closed_standard_input_is_empty(files):
    command = 'exec 0<&-; exec "$@"'
    asked = [sys.executable, "-m", "loyalty_desk.cli_quote", "quote", "--program", "p.toml", "--lang", "en"]
    said = subprocess.run(["sh", "-c", command, "sh", *asked], capture_output=True, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (2, b"", b"standard input: is empty.\n")


@pytest.mark.skipif(os.name != "posix", reason="closes a file descriptor between fork and exec")
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_whoever_closed_the_standard_output_is_told_nothing(files, form):
    asked = [sys.executable, "-m", "loyalty_desk.cli_quote", "quote", "--program", "p.toml", "--lang", "en", *form]
    check = b'{"currency": "RUB", "amount": 5}'
    said = subprocess.run(
        ["sh", "-c", 'exec 1>&-; exec "$@"', "sh", *asked], input=check, stderr=subprocess.PIPE, check=False
    )
    assert (said.returncode, said.stderr) == (0, b"")


def test_importing_the_commands_loads_neither_kernel_nor_tables():
    ask = "import sys, loyalty_desk.cli_quote; print([m for m in sys.modules if m.startswith('loyalty_desk.')])"
    loaded = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "['loyalty_desk.cli_quote']"


def test_a_thousand_lines_and_a_thousand_rules_are_priced(files):
    rules = [
        {
            "id": f"r{n}",
            "effects": [{"type": "percentage", "rate_bp": 1 + n % 50}],
            "conditions": [{"type": "categories", "categories": [f"c{n % 100}"]}],
        }
        for n in range(1_000)
    ]
    (files / "big.json").write_text(json.dumps({"currency": "RUB", "version": 1, "rules": rules}), "utf-8")
    lines = [{"price": 10 + n, "category": f"c{n % 100}"} for n in range(1_000)]
    answer = run("quote", "--program", "big.json", "--json", stdin=json.dumps({"currency": "RUB", "lines": lines}))
    quoted = json.loads(answer.stdout)["quote"]
    assert len(quoted["explanation"]) == 1_000
    assert sum(line["net"] for line in quoted["lines"]) == quoted["total"]


def test_a_mistyped_language_or_tier_is_not_passed_over(files):
    result = run("quote", "--program", "p.toml", "--check", "c.yaml", "--lang", "rx")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "rx" in result.stderr
    assert run("quote", "--program", "p.toml", "--check", "c.yaml", "--lang", "ru_RU").exit_code == 0
    (files / "g.json").write_text('{"tier": "GODL"}', "utf-8")
    result = run("quote", "--program", "p.toml", "--check", "c.yaml", "--guest", "g.json", "--lang", "en")
    assert (result.exit_code, result.stdout) == (2, "")
    assert plain(result.stderr) == "g.json: tier: should be one of: GOLD.\n"


@pytest.mark.parametrize(
    ("command", "typed", "said"),
    [
        ("points", "{}", "standard input: the field moves is missing.\n"),
        (
            "tier",
            '{"manual": [{"tier": "GODL", "since": "2026-01-01"}]}',
            "standard input: manual[1].tier: should be one of: BRONZE, SILVER, GOLD, PLATINUM, VIP.\n",
        ),
    ],
)
def test_what_would_be_passed_over_without_a_word_is_named(files, command, typed, said):
    result = run(command, "--lang", "en", stdin=typed)
    assert (result.exit_code, result.stdout, plain(result.stderr)) == (2, "", said)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ('modle = "mixed"', "p.toml: program: the field modle is not known."),
        ('model = "mixed"\nsegments = { vip_visit = 3 }', "p.toml: segments: the field vip_visit is not known."),
    ],
)
def test_a_mistyped_field_of_a_program_is_not_passed_over(files, typed, said):
    (files / "p.toml").write_text(PROGRAM.replace('model = "mixed"', typed), encoding="utf-8")
    done = run("quote", "--program", "p.toml", "--check", "c.yaml", "--lang", "en")
    assert (done.exit_code, done.stdout, done.stderr.strip()) == (2, "", said)


def test_a_segment_that_no_guest_can_be_in_is_not_passed_over_though_the_guest_is_said_to_be_in_it(files):
    text = """
        version = 1
        currency = "RUB"
        model = "mixed"
        [[rules]]
        id = "r"
        conditions = [{ type = "segments", segments = ["SEGMENT", "new"] }]
        effects = [{ type = "percentage", rate_bp = 1000 }]
    """
    (files / "guest.toml").write_text('segments = ["SEGMENT", "staff"]', encoding="utf-8")
    typed = ("quote", "--program", "p.toml", "--check", "c.yaml", "--guest", "guest.toml", "--lang")
    (files / "p.toml").write_text(text, encoding="utf-8")
    said = "p.toml: rule r: nobody can be in the segment SEGMENT; there are: "
    done = run(*typed, "en")
    assert (done.exit_code, done.stdout, done.stderr.startswith(said)) == (2, "", True), done.stderr
    assert "new" in done.stderr
    assert "никто не может быть в сегменте SEGMENT" in run(*typed, "ru").stderr
    own = '[[segments.own]]\ncode = "SEGMENT"\nall = [{ field = "visits", min = 5 }]\n'
    (files / "p.toml").write_text(text + own, encoding="utf-8")
    assert run(*typed, "en").exit_code == 0


def test_a_manual_discount_may_be_written_as_a_percentage(files):
    check = {"currency": "RUB", "amount": 100, "manual_discounts": [{"percent": "10 %"}]}
    answer = run("quote", "--program", "p.toml", "--json", stdin=json.dumps(check))
    assert json.loads(answer.stdout)["quote"]["total"] == 9_000
    check["manual_discounts"] = [{"percent": "100.01%"}]
    answer = run("quote", "--program", "p.toml", "--lang", "en", stdin=json.dumps(check))
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert plain(answer.stderr) == (
        "standard input: manual_discounts[1]: a manual discount is either an amount or a percentage up to 100.\n"
    )
