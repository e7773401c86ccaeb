"""A program snapshot: exact bytes, errors that name the place, and patience with a newer server."""

import json
from hashlib import sha256

import pytest

from loyalty_desk.domain import canonical
from loyalty_desk.domain.compiled import compile_program
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from tests.loyalty_desk.domain.pricing_parts import AT, basket, off, percent, program, rule

SNAPSHOT = {
    "v": 1,
    "network": "0190a7c4-0000-7000-8000-000000000001",
    "version": 7,
    "currency": "RUB",
    "zone": "Europe/Moscow",
    "point_value": 100,
    "model": "mixed",
    "tiers": [{"code": "BRONZE", "discount_bp": 500}, {"code": "GOLD", "threshold": 5000000, "discount_bp": 1500}],
    "rules": [
        {
            "id": "happy",
            "name": {"ru": "Счастливый час", "en": "Happy hour"},
            "effects": [{"type": "percentage", "rate_bp": 2000}],
            "conditions": [{"type": "hours", "from": "15:00", "to": "17:00"}],
        }
    ],
    "redemption": {"min": 100, "max_share_bp": 3000},
}
# Frozen: a program's bytes and hash must be the same for ever, on every machine.
SNAPSHOT_BYTES = (
    '{"currency":"RUB","model":"mixed","network":"0190a7c4-0000-7000-8000-000000000001","point_value":100,'
    '"redemption":{"max_share_bp":3000,"min":100},"rules":[{"conditions":[{"from":"15:00","to":"17:00","type":"hours"}],'
    '"effects":[{"rate_bp":2000,"type":"percentage"}],"id":"happy","name":{"en":"Happy hour","ru":"Счастливый час"}}],'
    '"tiers":[{"code":"BRONZE","discount_bp":500},{"code":"GOLD","discount_bp":1500,"threshold":5000000}],"v":1,'
    '"version":7,"zone":"Europe/Moscow"}'
).encode()
SNAPSHOT_HASH = "b_etsKc7IcMeLSPyI1xJdVKczvNWWo5iwhuYSXmK4Cw"


def test_bytes_and_hash_are_frozen():
    made = Program.from_dict(SNAPSHOT)
    assert made.to_bytes() == SNAPSHOT_BYTES
    assert made.hash == sha256(SNAPSHOT_BYTES).digest()
    assert made.hash_text == SNAPSHOT_HASH
    back = Program.from_bytes(SNAPSHOT_BYTES)
    assert back.to_bytes() == SNAPSHOT_BYTES
    assert back == made


def test_a_key_of_a_newer_server_keeps_bytes_and_hash():
    newer = canonical.encode({**SNAPSHOT, "moon": {"phases": [1, 2]}, "v": 9})
    assert Program.from_bytes(newer).to_bytes() == newer
    assert Program.from_bytes(newer).hash == Program.from_dict(json.loads(newer)).hash


@pytest.mark.parametrize("data", [b"", b"[]", b"nonsense", b'{"a": 1}', json.dumps(SNAPSHOT).encode(), b"\xff"])
def test_bytes_that_are_no_program_are_refused(data):
    with pytest.raises(BadInput, match="program_bytes"):
        Program.from_bytes(data)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"currency": None}, "field_missing", "currency"),
        ({"currency": "XXX"}, "currency_unknown", None),
        ({"version": None}, "field_missing", "version"),
        ({"version": True}, "field_wrong", "version"),
        ({"model": "barter"}, "field_wrong", "model"),
        ({"point_decimals": 3}, "field_wrong", "point_decimals"),
        ({"rules": {}}, "field_wrong", "rules"),
        ({"rules": [{}]}, "field_missing", "id"),
        ({"rules": [{"id": "a"}, {"id": "a"}]}, "rule_id_twice", "id"),
        ({"rules": [{"id": "a", "exclusive": "always"}]}, "field_wrong", "exclusive"),
        ({"rules": [{"id": "a", "effects": [{}]}]}, "field_missing", "type"),
        ({"tiers": [{"code": "A"}, {"code": "A"}]}, "tier_twice", None),
        ({"tiers": [{"code": "A", "discount_bp": 10_001}]}, "field_wrong", "discount_bp"),
        ({"redemption": {"block": 0}}, "field_wrong", "block"),
        ({"settings": {"earning_base": "hope"}}, "field_wrong", "earning_base"),
        ({"rounding": {"points": "up"}}, "field_wrong", "points"),
        ({"redemption": []}, "field_wrong", "redemption"),
    ],
)
def test_a_wrong_program_names_place_and_field(change, code, field):
    with pytest.raises(BadInput) as refused:
        Program.from_dict({**SNAPSHOT, **change})
    assert refused.value.code == code
    assert refused.value.facts.get("field") == field


@pytest.mark.parametrize(
    ("effect", "condition", "field"),
    [
        (percent(10_001), {"type": "guest"}, "rate_bp"),
        ({"type": "percentage"}, {"type": "guest"}, "rate_bp"),
        (off(1, "moon"), {"type": "guest"}, "per"),
        (off(1), {"type": "hours", "from": "25:00", "to": "10:00"}, "from"),
        (off(1), {"type": "hours", "from": "24:30", "to": "10:00"}, "from"),
        (off(1), {"type": "weekdays", "days": [0]}, "days"),
        (off(1), {"type": "weekdays", "days": []}, "days"),
        (off(1), {"type": "date"}, "from"),
        (off(1), {"type": "date", "from": "yesterday"}, "from"),
        (off(1), {"type": "products", "products": []}, "products"),
        (off(1), {"type": "nth_visit"}, "n"),
        (off(1), {"type": "usage"}, "total"),
        (off(1), {"type": "usage", "times": 1}, "period"),
        (off(1), {"type": "presence"}, "products"),
        (off(1), {"type": "amount", "of": "moon"}, "of"),
    ],
)
def test_a_rule_that_cannot_be_understood_names_itself_and_the_field(effect, condition, field):
    made = program(rule("r7", effect, when=[condition]), rule("sound", percent(1000)))
    with pytest.raises(BadInput) as refused:
        compile_program(made)
    assert "r7" in str(refused.value.facts["place"])
    assert refused.value.facts["field"] == field
    # In a snapshot it may be of a newer server: the rule is left out and says so, the rest is priced.
    quoted = quote(basket(100), None, made, AT)
    assert quoted.discount_total == 10
    (note,) = (note for note in quoted.explanation if note.rule == "r7")
    assert (note.applied, note.code, note.facts) == (False, "unknown_parts", {"field": field})


def test_points_and_money_of_a_program():
    made = program(point_decimals=2, point_value=150)
    assert (made.point_unit, made.points_money(199), made.points_money(1)) == (100, 298, 1)
