"""The small parts of the core against plain ways to compute the same: decay, agenda, poison gauge, ids."""

import hashlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.agenda import NEVER, Agenda
from streams.decay import FRACTION_BITS, forward, rebase, to_millipoints, value
from streams.identity import event_id, lead_id, strongest
from streams.poison import MOST, WINDOW, PoisonGauge
from streams.rules import DAY_S

SECRET = b"a key"
times = st.integers(1_600_000_000, 1_900_000_000)
half_lives = st.integers(3, 365).map(lambda days: days * DAY_S)
keys = st.text("ab2", min_size=1, max_size=3).map(str.encode)


@given(
    points=st.integers(-100_000, 100_000),
    at=times,
    age=st.integers(0, 400 * DAY_S),
    back=st.integers(0, 42 * DAY_S),
    half_life_s=half_lives,
)
def test_decay_is_two_to_the_minus_age(points: int, at: int, age: int, back: int, half_life_s: int) -> None:
    """A contribution is worth points times 2^(-age/half-life), to a quarter of a milli-point, from any origin."""
    total = forward(points, at, half_life_s, at - back)
    got = value(total, half_life_s, at - back, at + age) / (1 << FRACTION_BITS)
    assert abs(got - points * 2 ** (-age / half_life_s)) < 0.25


@given(points=st.integers(-100_000, 100_000), at=times, back=st.integers(0, 42 * DAY_S), half_life_s=half_lives,
       ahead=st.integers(0, 42 * DAY_S))  # fmt: skip
def test_an_origin_before_all_terms_can_be_moved_exactly(
    points: int, at: int, back: int, half_life_s: int, ahead: int
) -> None:
    """Moving the origin forward, but not past a term, changes no bit of what the term is worth."""
    origin, later = at - back, min(at, at - back + ahead)
    assert rebase(forward(points, at, half_life_s, origin), half_life_s, origin, later) == forward(
        points, at, half_life_s, later
    )


@given(fixed=st.integers(-(2**40), 2**40))
def test_rounding_is_to_the_nearest_milli_point(fixed: int) -> None:
    """Half a milli-point or less lies between a value and its rounding."""
    assert abs(Fraction(fixed, 1 << FRACTION_BITS) - to_millipoints(fixed)) <= Fraction(1, 2)


@given(
    dues=st.dictionaries(keys, st.integers(1, 40_000), max_size=30),
    moved=st.dictionaries(keys, st.integers(1, 40_000), max_size=10),
    nows=st.lists(st.integers(0, 45_000), max_size=8).map(sorted),
)
def test_the_agenda_gives_what_is_due_in_order(
    dues: dict[bytes, int], moved: dict[bytes, int], nows: list[int]
) -> None:
    """At each time it gives the keys that are due by then, by (due, key), each once, at the time that holds now."""
    current = dict(dues)
    agenda = Agenda(lambda key: current.get(key, 0))
    for key, due in dues.items():
        agenda.add(due, key)
    for key, due in moved.items():
        current[key] = due
        agenda.add(due, key)
    for now in nows:
        expected = sorted((due, key) for key, due in current.items() if due <= now)
        given_out = []
        while (key := agenda.pop(now)) is not None:
            given_out.append((current.pop(key), key))
        assert given_out == expected
        assert agenda.next_due > now or agenda.next_due // 3_600 == now // 3_600
    assert Agenda(lambda key: 0).next_due == NEVER


def test_single_poison_passes_a_flood_does_not() -> None:
    """One bad record in twenty is rejected for ever; the 101st of a flood stops the line."""
    seldom = PoisonGauge()
    for _ in range(20 * WINDOW // 19):
        seldom.good(19)
        assert seldom.poison()
    flood = PoisonGauge()
    assert [flood.poison() for _ in range(MOST + 1)] == [True] * MOST + [False]


def test_accepted_poison_comes_on_top() -> None:
    """What a person lets through is let through before the gauge counts."""
    gauge = PoisonGauge(accept=50)
    assert sum(gauge.poison() for _ in range(500)) == 50 + MOST


def test_ids_carry_no_value_and_need_the_key() -> None:
    """A lead id is 18 characters, differs by kind, value and key, and shows nothing of the value."""
    ids = {lead_id("u", "ana", SECRET), lead_id("e", "ana", SECRET), lead_id("u", "ben", SECRET)}
    ids.add(lead_id("u", "ana", b"other"))
    assert len(ids) == 4
    assert all(len(each) == 18 and "ana" not in each for each in ids)
    assert event_id("demo", "m1") != event_id("shop", "m1")
    assert event_id("demo", "m1") == hashlib.blake2b(b"demo\x00m1", digest_size=8).digest()


@pytest.mark.parametrize("secret", [b"", b"x" * 65])
def test_an_id_key_of_no_use_is_refused(secret: bytes) -> None:
    """An empty or overlong key is an error, not a weak hash."""
    with pytest.raises(ValueError, match="1 to 64"):
        lead_id("u", "ana", secret)


@pytest.mark.parametrize(
    ("identifiers", "expected"),
    [
        (("ana", "ana@x.example", "a1"), ("u", "ana")),
        ((None, "ana@x.example", "a1"), ("e", "ana@x.example")),
        (("", "", "a1"), ("a", "a1")),
        ((None, None, None), None),
    ],
)
def test_the_strongest_identifier_wins(
    identifiers: tuple[str | None, str | None, str | None], expected: tuple[str, str] | None
) -> None:
    """User id before e-mail before anonymous id; nothing known, nothing chosen."""
    assert strongest(*identifiers) == expected
