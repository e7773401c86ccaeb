"""What is said of a program before it is published."""

import pytest

from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.publishing import findings
from loyalty_desk.domain.quote import Choices
from tests.loyalty_desk.domain.pricing_parts import AT, basket, off, percent, rule
from tests.loyalty_desk.domain.properties import cases

NAMED = {"name": {"ru": "Акция", "en": "Offer"}}
TIERS = [{"code": "A", "threshold": 0}, {"code": "B", "threshold": 100}]


def snapshot(*rules, **more):
    return {"version": 1, "currency": "RUB", "rules": [{**one, **NAMED} for one in rules], **more}


def codes(*rules, **more):
    return [(one.code, one.place, one.refuses) for one in findings(snapshot(*rules, **more))]


def test_a_sound_program_has_nothing_said_of_it():
    sound = rule("a", percent(1000), when=[{"type": "promo_code", "codes": ["X"]}, {"type": "tiers", "tiers": ["B"]}])
    assert codes(sound, rule("b", off(100)), tiers=TIERS, redemption={}) == []


@pytest.mark.parametrize("limit", [{"type": "budget", "amount": 100}, {"type": "usage", "total": 5}])
def test_a_limit_for_all_together_gives_nothing_where_nobody_leased_it(limit):
    limited = rule("a", off(10), when=[limit])
    assert codes(limited) == []
    program = Program.from_dict(snapshot(limited))
    # What a till without a lease knows: it has none of it.
    assert quote(basket(1_000), None, program, AT, Choices(quotas={})).discount_total == 0


@pytest.mark.parametrize(
    ("effect", "when", "code"),
    [
        ({"type": "earn_rate", "points": 1, "per": 0}, [], "zero_divisor"),
        ({"type": "earn_blocks", "points": 1, "per": 0}, [], "zero_divisor"),
        ({"type": "teleport"}, [], "part_unknown"),
        (off(1), [{"type": "moon"}], "part_unknown"),
        (off(1), [{"type": "amount", "min": 10, "max": 9}], "bounds_crossed"),
        (off(1), [{"type": "amount", "min": 10, "max": 10, "over": True}], "bounds_crossed"),
        (off(1), [{"type": "date", "from": "2026-02-02", "to": "2026-02-01"}], "dates_crossed"),
        (off(1), [{"type": "tiers", "tiers": ["C"]}], "tier_unknown"),
        (off(1), [{"type": "segments", "segments": ["vip", "reguler"]}], "segment_unknown"),
        (off(1), [{"type": "products", "products": ["x"]}, {"type": "products", "products": ["y"]}], "never_matches"),
        (off(1), [{"type": "products", "products": ["x"]}, {"type": "excluded", "products": ["x"]}], "never_matches"),
        ({"type": "issue_coupon", "opens": "nothing"}, [], "opens_nothing"),
        (percent(10_001), [], "field_wrong"),
    ],
)
def test_what_refuses_a_program_names_the_rule(effect, when, code):
    ((found, place, refuses),) = codes(rule("r7", effect, when=when), tiers=TIERS)
    assert (found, refuses) == (code, True)
    assert place.startswith("rule r7")


@pytest.mark.parametrize(
    ("more", "place", "key"),
    [
        ({"modell": "points"}, "program", "modell"),
        ({"tiers": [{"code": "A", "discont_bp": 5}]}, "tiers[1]", "discont_bp"),
        ({"redemption": {"mni": 1}}, "redemption", "mni"),
        ({"exclusions": {"earning": {"product": ["x"]}}}, "exclusions.earning", "product"),
        ({"expiry": {"type": "days", "days": 3, "day": 3}}, "expiry", "day"),
        ({"rounding": {"point": "ceil"}}, "rounding", "point"),
        ({"bonuses": {"birthday": {"points": 5, "before": 3}}}, "bonuses.birthday", "before"),
        ({"bonuses": {"birthdays": {"points": 5}}}, "bonuses", "birthdays"),
    ],
)
def test_a_mistyped_key_is_not_passed_over(more, place, key):
    (found,) = findings(snapshot(**more))
    assert (found.code, found.place, found.facts["field"], found.refuses) == ("field_unknown", place, key, True)


def test_a_mistyped_key_of_a_rule_names_the_rule():
    mistyped = rule("a", percent(100, max_unit=1), when=[{"type": "amount", "mim": 5}])
    found = findings(snapshot(mistyped, rule("b", off(1))))
    assert {(one.place, one.facts["field"]) for one in found} == {
        ("rule a.effects[1]", "max_unit"),
        ("rule a.conditions[1]", "mim"),
    }
    (unknown,) = findings(snapshot(rule("a", {"type": "teleport", "far": 1})))
    assert unknown.code == "part_unknown"


def test_no_key_that_any_effect_condition_or_setting_reads_is_called_unknown():
    for seed in range(300):
        data = cases.any_case(seed, 6, 2).program.to_dict()
        assert [one for one in findings(data) if one.code == "field_unknown"] == []


def test_a_bonus_that_cannot_be_understood_refuses():
    (found,) = findings(snapshot(bonuses={"birthday": {"points": 0}}))
    assert (found.code, found.facts["field"]) == ("field_wrong", "points")


def test_codes_collide_in_any_case():
    one = rule("a", off(1), when=[{"type": "promo_code", "codes": ["Spring"]}])
    other = rule("b", off(1), when=[{"type": "coupon", "codes": ["SPRING"]}])
    assert codes(one, other) == [("code_twice", "rule b", True)]


@pytest.mark.parametrize("more", [{}, {"of": "check"}])
def test_everything_for_nothing_is_warned_of_unless_something_bounds_it(more):
    assert codes(rule("a", percent(10_000, **more))) == [("all_for_nothing", "rule a", False)]
    assert codes(rule("a", percent(10_000, max_units=1))) == []
    assert codes(rule("a", percent(10_000, **more), when=[{"type": "usage", "per_guest": 1}])) == []


def test_points_that_are_worth_nothing_and_tiers_out_of_order():
    assert codes(point_value=0, redemption={}) == [("zero_divisor", "program", True)]
    assert codes(redemption={"max_share_bp": 0}) == [("redemption_never", "program", True)]
    assert codes(zone="Mars/Base") == [("zone_unknown", "program", True)]
    assert codes(tiers=[*reversed(TIERS)]) == [("tiers_out_of_order", "program", False)]
    assert codes(tiers=[{"code": "A"}, {"code": "B"}]) == [("tier_unreachable", "program", False)]


def test_a_segment_is_one_that_is_there_or_one_of_the_programs_own():
    own = {"own": [{"code": "gold", "all": [{"field": "segments", "any": ["regular"]}]}]}
    when = [{"type": "segments", "segments": ["new", "one_time", "regular", "vip", "gold"]}]
    assert codes(rule("r", off(1), when=when), segments=own) == []
    (found,) = findings(snapshot(rule("r", off(1), when=[{"type": "segments", "segments": ["gol"]}]), segments=own))
    known = ["gold", "new", "one_time", "regular", "vip"]
    assert (found.code, found.place) == ("segment_unknown", "rule r")
    assert found.facts == {"condition": "segments", "segment": "gol", "known": known}
    # Own segments are told by the automatic ones alone.
    chained = {"own": [*own["own"], {"code": "more", "all": [{"field": "segments", "any": ["gold"]}]}]}
    (found,) = findings(snapshot(segments=chained))
    assert (found.code, found.place, found.facts["segment"]) == ("segment_unknown", "segment more", "gold")


def test_what_the_model_leaves_out_of_the_tiers_is_warned_of():
    tiers = [{"code": "A", "discount_bp": 500, "earn_bp": 300}]
    assert codes(tiers=tiers, model="mixed") == []
    assert codes(tiers=tiers, model="points") == [("tiers_lower_nothing", "program", False)]
    assert codes(tiers=tiers, model="discount") == [("tiers_earn_nothing", "program", False)]


def test_an_id_that_no_counter_could_be_named_by():
    assert codes(rule("a:b", off(1))) == [("rule_id_colon", "rule a:b", True)]


def test_an_id_that_tills_could_not_be_told():
    assert codes(rule("r" * 200, off(1))) == []
    assert codes(rule("r" * 201, off(1))) == [("field_wrong", f"rule {'r' * 40}…", True)]
    assert codes(rule("r" * 1_000_000, off(1))) == [("field_wrong", f"rule {'r' * 40}…", True)]


def test_missing_names_and_effects():
    assert [one.code for one in findings({"version": 1, "currency": "RUB", "rules": [{"id": "a"}]})] == [
        "rule_without_effect",
        "name_missing",
    ]


def test_what_is_refused_at_publishing_is_tolerated_in_a_snapshot():
    bad = snapshot(rule("z", {"type": "earn_rate", "points": 1, "per": 0}), rule("b", percent(1000)))
    assert quote(basket(1000), None, Program.from_dict(bad), AT).total == 900
