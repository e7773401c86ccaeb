import pytest
from msgspec.structs import replace

from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import ClockConfidence, Decision
from loyalty_desk.services.ports.journal import OfflineUse
from loyalty_desk.services.redemption import HOUR_MS, Basis, allowance, overdraft_bound, share_cap
from loyalty_desk.wire.v1.rows import ProfileRow
from tests.loyalty_desk.till_parts import PROGRAM

WIDE = ProfileRow(
    floor_points=1_000,
    split_sale_points=1_000,
    lower_consecutive=2,
    upper_consecutive=3,
    device_points=4_000,
    cvm={"ld1": 100, "number": 0, "ld4": 10**9},
)
GOOD = Basis(
    known_points=10_000, use=OfflineUse(), code=CodeKind.LD4, clock=ClockConfidence.GOOD, age_ms=0,
    held=False, checked=True, complete=True,
)  # fmt: skip
FLOOR, SPLIT, LOWER, UPPER, DEVICE, STALE, KNOWN, EXCEPTION, CVM = (
    1 << bit
    for bit in (
        Decision.FLOOR_LIMIT, Decision.SPLIT_SALE, Decision.LOWER_CONSECUTIVE, Decision.UPPER_CONSECUTIVE,
        Decision.CUMULATIVE_DEVICE, Decision.STALE_DATA, Decision.KNOWN_BALANCE, Decision.EXCEPTION_FILE, Decision.CVM,
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "points", "reason", "bits"),
    [
        ({}, 1_000, "floor_limit", 0),
        ({"known_points": 300}, 300, "known_balance", 0),
        ({"known_points": 0}, 0, "known_balance", KNOWN),
        ({"known_points": -50}, 0, "known_balance", KNOWN),
        ({"use": OfflineUse(400, 1, 400)}, 600, "split_sale", 0),
        ({"use": OfflineUse(1_000, 1, 1_000)}, 0, "split_sale", SPLIT),
        ({"use": OfflineUse(20, 2, 20)}, 980, "split_sale", LOWER),
        ({"use": OfflineUse(30, 3, 30)}, 0, "upper_consecutive", LOWER | UPPER),
        ({"use": OfflineUse(0, 0, 3_500)}, 500, "device_limit", 0),
        ({"use": OfflineUse(0, 0, 4_000)}, 0, "device_limit", DEVICE),
        ({"use": OfflineUse(0, 0, 4_200)}, 0, "device_limit", DEVICE),
        ({"age_ms": 24 * HOUR_MS}, 1_000, "floor_limit", 0),
        ({"age_ms": 24 * HOUR_MS + 1}, 0, "stale_data", STALE),
        ({"age_ms": None}, 0, "stale_data", STALE),
        ({"clock": ClockConfidence.FAIR}, 1_000, "floor_limit", 0),
        ({"clock": ClockConfidence.BAD}, 0, "clock_bad", STALE),
        ({"held": True}, 0, "new_epoch", STALE),
        ({"checked": False}, 0, "journal_checking", STALE),
        ({"complete": False}, 0, "guests_loading", STALE),
        ({"code": CodeKind.LD1}, 100, "code_limit", 0),
        ({"code": CodeKind.NUMBER}, 0, "code_limit", CVM),
        ({"code": CodeKind.PHONE}, 0, "code_limit", CVM),
        ({"guest_limit": 40}, 40, "guest_limit", 0),
        ({"guest_limit": 0}, 0, "guest_limit", EXCEPTION),
    ],
)
def test_each_row_of_the_table(change, points: int, reason: str, bits: int) -> None:
    allowed = allowance(WIDE, replace(GOOD, **change))
    assert (allowed.max_points, allowed.reason, allowed.decision_bits) == (points, reason, bits)


def test_known_balance_mode_has_neither_floor_nor_split() -> None:
    profile = ProfileRow(mode="known_balance", cvm=WIDE.cvm, margin=7)
    allowed = allowance(profile, replace(GOOD, known_points=900, use=OfflineUse(900, 1, 900)))
    assert (allowed.max_points, allowed.reason, allowed.share_bp) == (893, "known_balance", None)


@pytest.mark.parametrize("mode", ["deny", "escrow", "unheard of"])
def test_a_mode_that_allows_nothing_or_is_not_known_denies(mode: str) -> None:
    allowed = allowance(ProfileRow(mode=mode), GOOD)
    assert (allowed.max_points, allowed.reason) == (0, "mode_deny")


def test_the_bits_of_a_record_name_the_rows_below_what_was_asked() -> None:
    allowed = allowance(WIDE, replace(GOOD, known_points=300, code=CodeKind.LD1))
    assert allowed.bits_for(100, None) == 0
    assert allowed.bits_for(101, None) == CVM
    assert allowed.bits_for(301, 50) == CVM | KNOWN | FLOOR


def test_the_share_is_of_what_the_check_costs() -> None:
    allowed = allowance(WIDE, GOOD)
    assert share_cap(allowed, 1_000_00, Program.from_dict(PROGRAM)) == 300
    assert share_cap(allowed, 99, Program.from_dict(PROGRAM)) == 0
    assert share_cap(allowed, 1_000_00, Program.from_dict({**PROGRAM, "point_decimals": 2})) == 300_00


@pytest.mark.parametrize(
    ("mode", "tills", "balance", "bound"),
    [
        ("floor", 20, 0, 10_000),
        ("floor", 2, 620, 380),
        ("floor", 2, 1_001, 0),
        ("floor", 2, -50, 1_050),
        ("known_balance", 3, 400, 800),
        ("known_balance", 1, 400, 0),
        ("deny", 20, 0, 0),
    ],
)
def test_how_far_a_guest_can_be_overdrawn(mode: str, tills: int, balance: int, bound: int) -> None:
    assert overdraft_bound(ProfileRow(mode=mode), tills, balance) == bound


def test_few_and_small_redemptions_bind_before_the_limit_for_a_guest() -> None:
    profile = ProfileRow(floor_points=100, upper_consecutive=2, split_sale_points=500)
    assert overdraft_bound(profile, 3, 50) == 3 * 200 - 50
