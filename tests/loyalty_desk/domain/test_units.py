"""Units as runs: the same split as over a list of single units."""

from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.money import allocate
from loyalty_desk.domain.units import Run, are_even, merged, pick, pick_of_line, spread, total

RUNS = st.lists(st.builds(Run, st.integers(0, 60), st.integers(1, 5), st.booleans()), min_size=1, max_size=5).map(
    merged
)


def singles(runs):
    return [run.price for run in runs for _ in range(run.units)]


@given(RUNS, st.data())
def test_a_split_over_runs_is_the_split_over_single_units(runs, data):
    floor = data.draw(st.sampled_from([0, 0, 7, 20]))
    prices = singles(runs)
    rooms = [max(0, price - floor) for price in prices]
    amount = data.draw(st.integers(0, sum(rooms)))
    after = spread(runs, amount, floor)
    assert singles(after) == [price - part for price, part in zip(prices, allocate(amount, prices, rooms), strict=True)]
    assert total(after) == total(runs) - amount
    assert [run.consumed for run in after for _ in range(run.units)] == [
        r.consumed for r in runs for _ in range(r.units)
    ]


def levels(runs):
    """Return the multiset of prices that even units have by what all cost together."""
    prices = singles(runs)
    low, more = divmod(sum(prices), len(prices))
    return sorted([low] * (len(prices) - more) + [low + 1] * more)


EVEN = st.tuples(st.integers(0, 60), st.lists(st.booleans(), min_size=1, max_size=9)).map(
    lambda drawn: merged(Run(drawn[0] + dearer, 1) for dearer in drawn[1])
)


@given(EVEN, st.data())
def test_units_that_cost_the_same_but_for_one_stay_so_in_every_split(runs, data):
    assert are_even(runs)
    assert sorted(singles(runs)) == levels(runs)
    after = spread(runs, data.draw(st.integers(0, total(runs))))
    assert are_even(after)
    assert sorted(singles(after)) == levels(after)


@given(EVEN, st.integers(0, 70))
def test_one_amount_off_each_of_even_units_is_a_split_of_it_all(runs, amount):
    each = [max(0, price - amount) for price in singles(runs)]
    assert total(runs) - sum(each) == min(total(runs), amount * len(each))
    assert singles(spread(runs, total(runs) - sum(each))) == each


@given(EVEN, st.integers(0, 70))
def test_one_price_for_even_units_is_a_split_of_what_it_takes_off(runs, price):
    each = [min(price, was) for was in singles(runs)]
    assert total(runs) - sum(each) == max(0, total(runs) - price * len(each))
    assert singles(spread(runs, total(runs) - sum(each))) == each


def test_units_that_differ_by_two_are_not_even():
    assert not are_even((Run(10, 3), Run(12, 1)))
    assert are_even((Run(10, 3), Run(9, 1), Run(10, 2, consumed=True)))


@given(st.lists(RUNS, min_size=1, max_size=4), st.integers(0, 30), st.booleans(), st.booleans())
def test_the_cheapest_are_picked_and_ties_go_to_the_earlier_line(lines, count, dearest, free_only):
    picks = pick(list(enumerate(lines)), count, dearest=dearest, free_only=free_only)
    offers = sorted(
        (-run.price if dearest else run.price, i, k)
        for i, runs in enumerate(lines)
        for k, run in enumerate(runs)
        if not (free_only and run.consumed)
        for _ in range(run.units)
    )
    expected: dict[int, dict[int, int]] = {}
    for _, i, k in offers[:count]:
        expected.setdefault(i, {}).setdefault(k, 0)
        expected[i][k] += 1
    assert picks == expected


@given(RUNS, st.integers(1, 30), st.booleans())
def test_units_of_one_line_are_picked_as_those_of_many(runs, count, dearest):
    assert pick_of_line(runs, count, dearest=dearest) == pick([(0, runs)], count, dearest=dearest)[0]


def test_ten_thousand_units_are_one_run():
    assert len(spread((Run(100, 10_000),), 12_345)) == 2
