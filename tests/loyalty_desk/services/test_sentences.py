from __future__ import annotations

import ast
from pathlib import Path

import pytest

import loyalty_desk
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.record import ExceptionKind
from loyalty_desk.services.sentences import SENTENCES, sentence, sentence_of
from loyalty_desk.services.wording import Words
from loyalty_desk.wire.v1.sync import QuarantineReason

PACKAGE = Path(loyalty_desk.__file__).parent
# What a cashier's hand can cause. Programs and records read from the server, and files read by the command line, have
# sentences of their own.
PLACES = ("services/", "store/", "remote/", "ui/", "wire/v1/enrol.py", "domain/money.py", "domain/guest_code.py",
          "domain/scan_text.py", "domain/base32.py", "domain/signed_codes.py",
          "till.py", "paths.py", "credentials.py", "config.py", "app.py")  # fmt: skip


def raised_codes() -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith(PLACES):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
                continue
            first = node.args[0]
            if node.func.id in {"BadInput", "Refused", "ForPerson"} and isinstance(first, ast.Constant):
                found[first.value] = place
    return found


def test_whatever_is_refused_has_a_sentence() -> None:
    codes = raised_codes()
    assert len(codes) > 25
    assert {code: place for code, place in codes.items() if code not in SENTENCES} == {}


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_a_sentence_without_its_facts_is_still_one(code: str, language: str) -> None:
    said = sentence_of(code, {}, Words(language))
    assert "{" not in said
    assert said.endswith((".", "?", "…"))
    assert len(said) > 5


def test_numbers_are_written_in_the_language() -> None:
    error = BadInput("amount_too_large", limit=99_999_999)
    assert sentence(error, Words("ru")) == "Слишком большая сумма: можно не больше 99\u00a0999\u00a0999,99."
    said = sentence_of("limit_split_sale", {"used": 1200, "limit": 1500, "points": 300}, Words("ru"))
    assert said == "после последней связи с сервером здесь списано 1\u00a0200, разрешено 1500."


def test_a_code_of_a_newer_part_is_named_rather_than_hidden() -> None:
    assert "brand_new" in sentence(Refused("brand_new", what=1), Words("ru"))


def test_braces_in_what_somebody_typed_are_only_text() -> None:
    assert "{0.__class__}" in sentence(BadInput("amount_ambiguous", text="{0.__class__}"), Words("en"))


def told_codes() -> set[str]:
    """Return the codes that notices and failed exchanges carry."""
    found = set()
    for path in [*sorted((PACKAGE / "services").glob("*.py")), PACKAGE / "till.py", PACKAGE / "store" / "boot.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            told = node.args[:1] if name in {"notify", "_notify"} else node.args[1:2] if name == "Finding" else []
            if name.lower().endswith("outcome"):
                told += [word.value for word in node.keywords if word.arg == "error"]
            found |= {one.value for one in told if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return found


def test_whatever_a_till_is_told_has_a_sentence() -> None:
    codes = told_codes()
    assert {"till_revoked", "sync_fault", "server_silent", "journal_rolled_back", "sale_flagged"} <= codes
    assert codes - set(SENTENCES) == set()


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_servers_codes_are_said_in_words(language: str) -> None:
    words = Words(language)
    for code in [*QuarantineReason, *ExceptionKind]:
        said = sentence_of("sale_quarantined", {"receipt": "A-1", "reason": code.value}, words)
        assert code.value not in said
        assert "_" not in said
    flagged = sentence_of("sale_flagged", {"receipt": "", "kinds": "CLOCK, OVERDRAFT, BRAND_NEW"}, words)
    assert "CLOCK" not in flagged
    assert "BRAND_NEW" not in flagged
    # A registration has no receipt, and is no sale.
    assert not {"sale", "продажу", "—"} & set(flagged.split())
