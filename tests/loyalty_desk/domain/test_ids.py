from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.ids import IdMaker, derived_id


@given(st.lists(st.integers(0, 1 << 48), min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_ids_rise_whatever_the_clock_does(times, random):
    clock = iter(times)
    make = IdMaker(lambda: next(clock), random.getrandbits)
    ids = [make() for _ in times]
    assert ids == sorted(set(ids))
    assert all(one.version == 7 and one.variant == "specified in RFC 4122" for one in ids)


def test_a_full_tail_moves_to_the_next_millisecond():
    make = IdMaker(lambda: 5, lambda bits: (1 << bits) - 1)
    ids = []
    for _ in range(3):
        make._tail = (1 << 74) - 2
        ids.append(make())
    assert ids == sorted(set(ids))


def test_the_time_is_in_the_first_48_bits():
    make = IdMaker(lambda: 0x0123456789AB, lambda bits: 0)
    assert make() == UUID("01234567-89ab-7000-8000-000000000000")


def test_a_server_born_id_is_the_same_every_time():
    network = UUID("00000000-0000-7000-8000-000000000001")
    assert derived_id(network, "expire:1") == derived_id(network, "expire:1") != derived_id(network, "expire:2")
