"""What a new network's program says before anybody has changed it, and the demo's. Money in minor units, rates bp."""

from __future__ import annotations

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.money import currency

_TIERS = (
    # code, threshold in major units, discount, points of the mixed model, names
    ("BRONZE", 0, 500, 300, "Бронза", "Bronze"),
    ("SILVER", 15_000, 1_000, 400, "Серебро", "Silver"),
    ("GOLD", 50_000, 1_500, 500, "Золото", "Gold"),
    ("PLATINUM", 150_000, 2_000, 600, "Платина", "Platinum"),
    ("VIP", 400_000, 2_500, 700, "VIP", "VIP"),
)


def restaurant(code: str) -> dict[str, Json]:
    """Return the default of a restaurant: five tiers, each with a discount."""
    return {**_common(code), "model": "discount", "tiers": _tiers(code, discounts=True, earning=False)}


def shop(code: str) -> dict[str, Json]:
    """Return the default of a shop: 1% of what is paid comes back as points."""
    return {
        **_common(code),
        "model": "points",
        "rules": [
            {
                "id": "base_points",
                "name": {"en": "1% in points", "ru": "1% баллами"},
                "effects": [{"type": "earn_rate", "rate_bp": 100}],
                "conditions": [],
            }
        ],
        "redemption": {"min": 1, "block": 1, "max_share_bp": 10_000},
        "expiry": {"type": "days", "days": 365},
    }


def mixed(code: str) -> dict[str, Json]:
    """Return the demo's: a tier discount, points on what is paid, happy hour, cheaper desserts, paying with points."""
    unit = currency(code).unit
    return {
        **_common(code),
        "model": "mixed",
        "tiers": _tiers(code, discounts=True, earning=True),
        "tier_stacking": "best_of",
        "rules": [
            {
                "id": "happy_hour",
                "name": {"en": "Happy hour: 10% off", "ru": "Счастливый час: скидка 10%"},
                "group": 10,
                "effects": [{"type": "percentage", "of": "check", "rate_bp": 1_000, "cap": 1_000 * unit}],
                "conditions": [
                    {"type": "weekdays", "days": [1, 2, 3, 4, 5]},
                    {"type": "hours", "from": "15:00", "to": "17:00"},
                ],
            },
            {
                "id": "desserts",
                "name": {"en": "Desserts: 15% off", "ru": "Десерты: скидка 15%"},
                "group": 5,
                "effects": [{"type": "percentage", "rate_bp": 1_500}],
                "conditions": [{"type": "categories", "categories": ["dessert"]}],
            },
        ],
        "redemption": {"min": 50, "block": 1, "max_share_bp": 3_000},
        "expiry": {"type": "days", "days": 365},
    }


def _common(code: str) -> dict[str, Json]:
    known = currency(code)
    return {
        "currency": known.code,
        "point_decimals": 0,
        "point_value": known.unit,
        "tier_base": "spend",
        "window": "rolling_12_months",
        "rules": [],
    }


def _tiers(code: str, *, discounts: bool, earning: bool) -> list[Json]:
    unit = currency(code).unit
    return [
        {
            "code": tier,
            "threshold": threshold * unit,
            "discount_bp": discount if discounts else 0,
            "earn_bp": earn if earning else 0,
            "name": {"en": english, "ru": russian},
        }
        for tier, threshold, discount, earn, russian, english in _TIERS
    ]
