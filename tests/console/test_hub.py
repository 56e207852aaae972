"""Laws of what is shown live: once, withdrawn if aborted, and nothing lost by whoever comes back."""

from hypothesis import given
from hypothesis import strategies as st

from console.hub import OVERLAP_MS, RING_MS, Happening, Hub, Place
from schemas.records import Tick

TOPIC = "lead.assignments"


def show(hub: Hub, id: str, offset: int, now: int = 0, *, transactional: bool = True) -> Happening | None:
    """Show a record of one partition."""
    return hub.show(id, Tick(offset), Place(TOPIC, 0, offset), now, transactional=transactional)


def heard() -> tuple[Hub, list[Happening]]:
    """A hub, and all that it tells."""
    told: list[Happening] = []
    return Hub(told.append), told


def test_a_record_is_shown_once_whichever_reader_is_first() -> None:
    """The second reader brings the same record: nothing new."""
    hub, told = heard()
    assert show(hub, "a", 0) is not None
    assert show(hub, "a", 0) is None
    assert hub.settle(TOPIC, 0, 1, {0}, 0) == []
    assert show(hub, "a", 0) is None
    assert [each.id for each in told] == ["a"]


def test_what_was_aborted_is_withdrawn() -> None:
    """The reader of what is committed passes an offset without having seen it."""
    hub, told = heard()
    show(hub, "a", 0)
    show(hub, "b", 1)
    assert [each.id for each in hub.settle(TOPIC, 0, 2, {1}, 5)] == ["a"]
    assert [(each.id, each.withdrawn) for each in told] == [("a", False), ("b", False), ("a", True)]


def test_what_is_said_again_after_a_restart_is_not_withdrawn() -> None:
    """Ids are derived: the next owner publishes the same decision, and that it was aborted before is nobody's news."""
    hub, told = heard()
    show(hub, "a", 0)
    show(hub, "a", 2)
    assert hub.settle(TOPIC, 0, 2, set(), 0) == []
    assert hub.settle(TOPIC, 0, 3, {2}, 0) == []
    assert len(told) == 1


def test_what_was_withdrawn_can_be_shown_again() -> None:
    """A decision that was taken back and made again is shown again."""
    hub, told = heard()
    show(hub, "a", 0)
    hub.settle(TOPIC, 0, 1, set(), 0)
    assert show(hub, "a", 4) is not None
    assert [each.withdrawn for each in told] == [False, True, False]


def test_what_the_other_reader_has_passed_is_not_shown() -> None:
    """A slow first reader finds a record that was aborted long ago."""
    hub, told = heard()
    hub.settle(TOPIC, 0, 10, set(), 0)
    assert show(hub, "a", 3) is None
    assert told == []


def test_who_is_too_slow_is_cut_off() -> None:
    """A listener that takes nothing does not make the console grow: it ends, and has to come back."""
    hub, _ = heard()
    listener, _, _ = hub.listen(None)
    for offset in range(3_000):
        show(hub, f"{offset}", offset)
    assert listener.over


def test_the_ring_is_bounded() -> None:
    """However much happens in a minute, memory does not grow; who comes back is told that this is not all."""
    hub, _ = heard()
    for offset in range(30_000):
        show(hub, f"{offset}", offset, now=1_000, transactional=False)
    assert len(hub.ring) == 20_000
    assert hub.listen(1_000)[2]
    assert not hub.listen(999)[2]


def test_what_waits_for_its_commit_is_bounded() -> None:
    """A second reader that never comes makes no memory grow, and withdraws nothing that it knows nothing of."""
    hub, _ = heard()
    for offset in range(25_000):
        show(hub, f"{offset}", offset)
    gone = hub.settle(TOPIC, 0, 25_000, set(), 0)
    assert len(gone) == 20_000
    assert gone[0].id == "5000"


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60), st.integers(0, 59))
def test_who_comes_back_misses_nothing_and_has_nothing_twice(steps: list[int], seen: int) -> None:
    """Whatever was shown after the last thing that somebody saw is sent again, if they come back within the minute."""
    hub, told = heard()
    now = 100_000
    for offset, step in enumerate(steps):
        now += step
        show(hub, f"{offset}", offset, now, transactional=False)
    place = min(seen, len(told) - 1)
    _, past, whole = hub.listen(told[place].at)
    known = {each.id for each in told[: place + 1]}
    assert not whole or [each for each in past if each.id not in known] == told[place + 1 :]
    assert whole or told[place].at <= now - RING_MS
    assert len({each.id for each in past}) == len(past)
    assert all(each.at >= told[place].at - OVERLAP_MS for each in past)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.randoms())
def test_in_the_end_everybody_has_seen_what_was_committed(committed: list[bool], random: object) -> None:
    """However the two readers take turns, what stands at the end is what was committed."""
    hub, told = heard()
    first = second = 0
    while second < len(committed):
        if first < len(committed) and random.random() < 0.5:  # type: ignore[attr-defined]
            show(hub, f"{first}", first)
            first += 1
        else:
            upto = random.randint(second + 1, len(committed))  # type: ignore[attr-defined]
            seen = {offset for offset in range(second, upto) if committed[offset]}
            for offset in sorted(seen):
                show(hub, f"{offset}", offset)
            hub.settle(TOPIC, 0, upto, seen, 0)
            second = upto
    for offset in range(first, len(committed)):
        show(hub, f"{offset}", offset)
    standing: dict[str, bool] = {}
    for each in told:
        assert standing.get(each.id, False) is each.withdrawn, "shown twice, or withdrawn and never shown"
        standing[each.id] = not each.withdrawn
    assert {int(id) for id, stands in standing.items() if stands} == {n for n, is_in in enumerate(committed) if is_in}
