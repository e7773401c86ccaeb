from loyalty_desk.scanning.debounce import Debounce


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_code_held_in_view_all_day_counts_once() -> None:
    clock = Clock()
    debounce = Debounce(2.0, clock)
    sights = []
    for _ in range(20_000):
        sights.append(debounce.first_sight(b"A"))
        clock.now += 1.9
    assert sights == [True] + [False] * 19_999


def test_it_counts_again_after_its_time_out_of_sight_and_not_before() -> None:
    clock = Clock()
    debounce = Debounce(2.0, clock)
    assert debounce.first_sight(b"A")
    clock.now += 1.999
    assert not debounce.first_sight(b"A")
    clock.now += 2.0
    assert debounce.first_sight(b"A")


def test_another_code_counts_at_once_and_does_not_rearm_the_first() -> None:
    debounce = Debounce(2.0, Clock())
    assert [debounce.first_sight(code) for code in (b"A", b"B", b"A", b"B", b"a")] == [True, True, False, False, True]


def test_rearming_forgets_everything() -> None:
    debounce = Debounce(2.0, Clock())
    debounce.first_sight(b"A")
    debounce.rearm()
    assert debounce.first_sight(b"A")


def test_a_million_codes_are_not_kept() -> None:
    clock = Clock()
    debounce = Debounce(2.0, clock)
    for number in range(5_000):
        debounce.first_sight(b"%d" % number)
        clock.now += 1
    assert len(debounce._last_seen) <= 3
