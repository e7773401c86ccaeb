"""A record's check: priced again it gives the same, and no personal datum is in it."""

from datetime import date, timedelta
from hashlib import sha256
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from loyalty_desk.domain import canonical
from loyalty_desk.domain.basket import Basket, Line, LineFlag
from loyalty_desk.domain.check import check_from_payload, check_to_payload, drift
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest import Coupon, GuestFacts
from loyalty_desk.domain.pricing import Choices, ManualDiscount, Payment, quote
from tests.loyalty_desk.domain.pricing_parts import AT, off, percent, program, rule

ZONE = ZoneInfo("Asia/Almaty")
PROGRAM = program(
    rule("happy", percent(1000), when=[{"type": "hours", "from": "00:00", "to": "24:00"}]),
    rule("born", off(500), when=[{"type": "birthday", "before": 3}]),
    rule("tagged", off(100), when=[{"type": "tags", "tags": ["press"]}]),
    rule("spring", off(50), when=[{"type": "promo_code", "codes": ["SPRING"]}]),
    rule("coupon", off(70), when=[{"type": "coupon"}]),
    rule("often", off(10), when=[{"type": "usage", "per_guest": 3}]),
    rule("named", off(20), when=[{"type": "guests", "guests": ["0190a7c4-0000-7000-8000-00000000000a"]}]),
    rule("budget", off(30), when=[{"type": "budget", "amount": 1000}]),
    tiers=[{"code": "GOLD", "discount_bp": 500, "earn_bp": 500}],
    model="mixed",
    redemption={"max_share_bp": 5000},
    zone="Asia/Almaty",
)
GUEST = GuestFacts(
    guest_id=UUID("0190a7c4-0000-7000-8000-00000000000a"),
    tier="GOLD",
    tier_until=AT + timedelta(days=30),
    points=777,
    expiries=((AT + timedelta(days=3), 100),),
    spend=1_000_000,
    visits=12,
    visits_ever=40,
    first_visit=AT - timedelta(days=400),
    birthday=date(1990, 3, 4),
    segments=frozenset({"vip"}),
    tags=frozenset({"press", "allergic to nuts"}),
    uses={("often", ""): 1, ("gone", ""): 5},
    coupons=(Coupon("K1", "coupon"), Coupon("private", "coupon")),
    as_of=AT,
)
BASKET = Basket(
    "RUB",
    (
        Line("a", "latte", "coffee", 2000, 25_000, added_at=AT - timedelta(minutes=5)),
        Line("b", "cake", "sweets", 1000, 18_050, tax=3000, charge=50, floor=1000),
        Line("c", "cheese", "food", 345, 99_900, flags=frozenset({LineFlag.WEIGHED})),
    ),
    store="s1",
    zone=ZONE,
)
CHOICES = Choices(
    points_asked=200,
    codes=("spring",),
    coupons=("k1",),
    manual_discounts=(ManualDiscount(amount=300, reason="Anna from table 5 was sad", operator="op"),),
    quotas={"budget": 25},
    payments=(Payment("card", 1000),),
    redemption_cap=150,
    redemption_cap_reason="floor_limit",
)


# Frozen: a till and a server of different versions must agree on these to the byte.
QUOTE_DIGEST = "28a59155688d2163b159f52e467db4874a3faa669d5b76998656cf0d0f0918a9"
PAYLOAD_DIGEST = "4f8bef5bfb2e8db426c3b6cee4394e5ce91911c4829edef5e383d41454f0a3fe"


def payload():
    quoted = quote(BASKET, GUEST, PROGRAM, AT, CHOICES)
    return quoted, check_to_payload(BASKET, GUEST, CHOICES, quoted)


def test_a_check_priced_again_from_its_record_is_the_same_to_the_byte():
    quoted, data = payload()
    again = canonical.decode_object(canonical.encode(data))
    priced = check_from_payload(again).quoted(PROGRAM, AT)
    assert priced.to_bytes() == quoted.to_bytes()
    assert drift(check_from_payload(again).claimed, priced) == []
    assert quoted.redeemed_points == 150


def test_the_bytes_of_a_quote_and_of_its_record_are_frozen():
    quoted, data = payload()
    assert sha256(quoted.to_bytes()).hexdigest() == QUOTE_DIGEST
    assert sha256(canonical.encode(data)).hexdigest() == PAYLOAD_DIGEST


def test_every_rule_of_the_sale_applied_so_the_record_holds_what_each_needs():
    quoted, _ = payload()
    assert {note.rule for note in quoted.explanation if note.applied} >= {rule.id for rule in PROGRAM.rules}


def test_nothing_personal_is_in_it():
    _, data = payload()
    text = canonical.encode(data).decode()
    for secret in ("1990", "03-04", "allergic", "Anna", "private", "gone"):
        assert secret not in text
    assert data["guest"]["birthday_rules"] == ["born"]
    assert data["guest"]["tags"] == ["press"]


def test_an_anonymous_check_has_no_guest():
    quoted = quote(BASKET, None, PROGRAM, AT)
    data = check_to_payload(BASKET, None, Choices(), quoted)
    assert "guest" not in data
    assert "choices" not in data
    assert check_from_payload(data).guest is None
    assert check_from_payload(data).quoted(PROGRAM, AT).to_bytes() == quoted.to_bytes()


def test_whatever_is_typed_as_a_code_can_be_recorded():
    typed = Choices(codes=("cafe\u0301", "a\x00b", "\ud800", "\u0401\u0416"), coupons=("\udfff",))
    quoted = quote(BASKET, None, PROGRAM, AT, typed)
    assert len(quoted.rejected) == 5
    assert b'"key":"a?b"' in quoted.to_bytes()
    data = check_to_payload(BASKET, None, typed, quoted)
    assert canonical.decode_object(canonical.encode(data))["choices"]["codes"][0] == "caf\u00e9"
    assert drift(check_from_payload(data).claimed, check_from_payload(data).quoted(PROGRAM, AT)) == []


def test_lines_without_ids_come_back_in_their_order():
    basket = Basket("RUB", tuple(Line(product=p, unit_price=100 + n) for n, p in enumerate("cab")))
    rules = program(rule("x", off(100)))
    quoted = quote(basket, None, rules, AT)
    data = check_to_payload(basket, None, Choices(), quoted)
    assert [line["product"] for line in data["lines"]] == ["c", "a", "b"]
    assert drift(check_from_payload(data).claimed, check_from_payload(data).quoted(rules, AT)) == []


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("total",), 1, "total"),
        (("earned_points",), 999, "earned_points"),
        (("program_hash",), "x", "program_hash"),
        (("lines", 1, "net"), 1, "net"),
        (("lines", 1, "discounts"), [], "discounts"),
        (("lines", 0, "points"), 1, "points"),
    ],
)
def test_every_lie_of_a_till_is_seen(path, value, field):
    _, data = payload()
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    found = drift(check_from_payload(data).claimed, check_from_payload(data).quoted(PROGRAM, AT))
    assert [difference.field for difference in found] == [field]


@pytest.mark.parametrize(
    "change",
    [{"lines": None, "total": "1"}, {"currency": 5}, {"zone": "Mars/Base"}, {"zone": "../etc"}, {"lines": [{}]}],
)
def test_a_check_that_makes_no_sense_is_refused_with_its_place(change):
    _, data = payload()
    with pytest.raises(BadInput):
        check_from_payload(data | change)


PLAIN = {"id": "a", "product": "p", "category": "c", "quantity_milli": 2_000, "unit_price": 50, "net": 99, "earned": 3}
# Fields that say nothing, and with which a line is read one by one.
SPELLED_OUT = {"flags": [], "charge": 0, "discounts": [], "points": None}


@pytest.mark.parametrize("left_out", [[], ["id", "product"], ["category", "earned"]])
def test_a_line_that_says_little_is_read_as_one_that_says_all(left_out):
    _, data = payload()
    line = {key: value for key, value in PLAIN.items() if key not in left_out}
    found = check_from_payload(data | {"lines": [line]})
    assert found == check_from_payload(data | {"lines": [line | SPELLED_OUT]})
    assert [getattr(found.basket.lines[0], key) for key in ("id", "unit_price")] == [line.get("id", ""), 50]
    assert (found.claimed.lines[0].net, found.claimed.lines[0].earned) == (99, line.get("earned", 0))


@pytest.mark.parametrize("spelled_out", [{}, SPELLED_OUT])
@pytest.mark.parametrize("field", ["id", "product", "category", "quantity_milli", "unit_price", "net", "earned"])
@pytest.mark.parametrize("value", [True, 1.5, [], 1 << 53, -(1 << 53)])
def test_a_line_with_a_field_that_makes_no_sense_is_refused_however_little_it_says(spelled_out, field, value):
    _, data = payload()
    with pytest.raises(BadInput) as refused:
        check_from_payload(data | {"lines": [PLAIN | spelled_out | {field: value}]})
    assert refused.value.facts["field"] == field
    assert refused.value.facts["place"] == "check.lines[1]"


def test_one_discount_is_read_as_one_of_two():
    _, data = payload()
    both = [{"rule": "a", "amount": 3}, {"rule": "b", "amount": -4}]
    lines = [
        PLAIN | {"id": name, "discounts": some} for name, some in zip("xyz", (both, both[:1], both[1:]), strict=True)
    ]
    found = check_from_payload(data | {"lines": lines}).claimed
    assert [line.discounts for line in found.lines] == [(("a", 3), ("b", -4)), (("a", 3),), (("b", -4),)]


@pytest.mark.parametrize("rest", [[], [{"rule": "b", "amount": 1}]])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"rule": 1}, "rule"), ({"rule": None}, "rule")]
    + [({"amount": value}, "amount") for value in (None, True, 1.5, 1 << 53, -(1 << 53))],
)
def test_a_discount_that_makes_no_sense_is_refused_whether_it_is_alone_or_not(rest, wrong, field):
    _, data = payload()
    with pytest.raises(BadInput) as refused:
        check_from_payload(data | {"lines": [PLAIN | {"discounts": [{"rule": "a", "amount": 1} | wrong, *rest]}]})
    assert (refused.value.facts["place"], refused.value.facts["field"]) == ("check.lines[1].discounts[1]", field)


def test_points_that_die_by_their_own_days_are_named_and_compared():
    lives = rule("week", {"type": "bonus_fixed", "points": 30, "expires_days": 7})
    rules = program(lives, model="points")
    basket = Basket.of_amount("RUB", 10_000)
    quoted = quote(basket, GUEST, rules, AT)
    data = check_to_payload(basket, GUEST, Choices(), quoted)
    assert data["own_expiry"] == [{"rule": "week", "points": 30, "days": 7}]
    assert drift(check_from_payload(data).claimed, check_from_payload(data).quoted(rules, AT)) == []
    longer = data | {"own_expiry": [{"rule": "week", "points": 30, "days": 700}]}
    assert [
        one.field for one in drift(check_from_payload(longer).claimed, check_from_payload(longer).quoted(rules, AT))
    ] == ["own_expiry"]
    for wrong in (5, [{"rule": "week"}], [{"rule": "week", "points": 0, "days": 7}]):
        with pytest.raises(BadInput):
            check_from_payload(data | {"own_expiry": wrong})


def test_facts_of_a_guest_come_back_from_their_object():
    assert GuestFacts.from_dict(GUEST.to_dict()) == GUEST
    assert GuestFacts().to_dict() == {}
    known = GuestFacts(birthday_rules=frozenset(), visits_ever=0)
    assert GuestFacts.from_dict(known.to_dict()) == known
