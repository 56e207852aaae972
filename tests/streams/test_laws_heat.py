"""Hot with hysteresis, cooling and expiry by tick, and how much of it fits into one record."""

from __future__ import annotations

from schemas.records import LeadAlert, LeadTransition
from tests.oracle.naive import DAY_S
from tests.streams.harness import MONDAY, Box, Did, Time, key_of, records

HAND = Did(MONDAY, "demo_request", mail=True)
PAPER = Did(MONDAY, "download", "guide")


def heat(box: Box) -> list[tuple[int, str]]:
    """The changes of heat: (offset of the record, what it became)."""
    return [(it.source_offset, it.after) for it in box.said(LeadTransition) if it.aspect == "heat"]


def first_below(box: Box, millipoints: int) -> int:
    """The first second at which the lead's score is below that."""
    low, high = MONDAY, MONDAY + 365 * DAY_S
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if box.score(middle) < millipoints else (middle + 1, high)
    return low


def test_sixty_points_make_hot_and_a_milli_point_less_does_not() -> None:
    """A lead gets hot at the event that brings it to 60 points, and not a second's decay below."""
    ten = Did(MONDAY, "webinar_register", "w")
    assert heat(Box().feed(records([HAND, ten]))) == [(2, "hot")]
    later = Did(MONDAY + 3600, "webinar_register", "w")
    box = Box().feed(records([HAND, later]))
    assert box.score(MONDAY + 3600) == 59952
    assert heat(box) == []


def test_hot_is_said_once() -> None:
    """However many events follow, a hot lead does not become hot again."""
    more = [Did(MONDAY + n, "download", str(n)) for n in range(9)]
    assert heat(Box().feed(records([HAND, *more]))) == [(2, "hot")]


def test_it_cools_exactly_at_the_first_tick_below() -> None:
    """A hot lead cools at the first tick whose second has it below 45 points, and at no tick before."""
    box = Box().feed(records([HAND, PAPER]))
    at_s = first_below(box, 45_000)
    box.feed(records([Time(at_s - 1)], 10))
    assert heat(box) == [(2, "hot")]
    box.feed(records([Time(at_s)], 12))
    assert heat(box) == [(2, "hot"), (12, "cold")]
    cooled = box.said(LeadTransition)[-1]
    assert (cooled.at, cooled.behaviour_millipoints, cooled.cause_event) == (at_s * 1000, 44_999, None)


def test_no_event_cools() -> None:
    """Negative points leave a hot lead hot until the next tick, whatever events come before it."""
    jobs = [Did(MONDAY, "page_view", "/jobs"), Did(MONDAY, "email_bounce", properties=(("bounce_type", "hard"),))]
    box = Box().feed(records([HAND, PAPER, *jobs, Did(MONDAY + 5, lead="u:other"), Did(MONDAY + 9, "email_open")]))
    assert heat(box) == [(2, "hot")]
    box.feed(records([Time(MONDAY + 10)], 20))
    assert heat(box) == [(2, "hot"), (20, "cold")]


def test_only_a_later_tick_cools() -> None:
    """A tick of the event's own second, or behind it, does not cool; that of the next second does."""
    jobs = [Did(MONDAY, "page_view", "/jobs"), Did(MONDAY, "email_bounce", properties=(("bounce_type", "hard"),))]
    box = Box().feed(records([HAND, PAPER, *jobs, Time(MONDAY - 60), Time(MONDAY)]))
    assert heat(box) == [(2, "hot")]
    box.feed(records([Time(MONDAY + 1)], 20))
    assert heat(box) == [(2, "hot"), (20, "cold")]


def test_between_45_and_60_heat_stays_as_it_is() -> None:
    """A cooled lead has to reach 60 again; 45 to 60 neither heats nor cools."""
    box = Box().feed(records([HAND, PAPER]))
    at_s = first_below(box, 45_000)
    again: list[Did | Time] = [Time(at_s), Did(at_s, "download", "b"), Time(at_s + 1), Did(at_s + 2, "demo_request")]
    box.feed(records(again, 10))
    assert heat(box) == [(2, "hot"), (10, "cold"), (16, "hot")]


def test_one_alert_in_seven_days() -> None:
    """A lead that gets hot again less than seven days after its last alert is not told about; later it is."""
    bounce = Did(MONDAY + 60, "email_bounce", properties=(("bounce_type", "hard"),))
    cool: list[Did | Time] = [HAND, PAPER, bounce, Did(MONDAY + 60, "page_view", "/jobs"), Time(MONDAY + 61)]
    for days, alerts in ((6, 1), (7, 2)):
        again = [Did(MONDAY + days * DAY_S, "demo_request", name="again")]
        box = Box().feed(records([*cool, *again]))
        assert [after for _, after in heat(box)] == ["hot", "cold", "hot"]
        assert len(box.said(LeadAlert)) == alerts


def test_idle_anonymous_leads_are_removed() -> None:
    """Sixty days after its last event an anonymous lead gets tombstones; who comes later is new; others stay."""
    seen = [Did(MONDAY, lead="a:x"), Did(MONDAY, lead="u:ana"), Did(MONDAY, lead="e:b@c.example")]
    box = Box().feed(records([*seen, Time(MONDAY + 60 * DAY_S - 1)]))
    assert key_of("a:x") in box.changelog
    box.feed(records([Time(MONDAY + 60 * DAY_S)], 10))
    assert key_of("a:x") not in box.changelog
    assert key_of("a:x") not in box.states
    last = box.last_states()
    assert [last[key_of(lead)] is None for lead in ("a:x", "u:ana", "e:b@c.example")] == [True, False, False]
    box.feed(records([Did(MONDAY, lead="a:x")], 20))
    new = box.last_states()[key_of("a:x")]
    assert new is not None
    assert new.events == 1


def test_a_record_fires_at_most_500_in_order() -> None:
    """Of 1,200 expiries that one tick makes due, each record fires the 500 earliest by time and then by id."""
    leads = [f"a:{n}" for n in range(1200)]
    box = Box().feed(records([Did(MONDAY + n % 7, lead=lead) for n, lead in enumerate(leads)]))
    wanted = [key for _, key in sorted((n % 7, key_of(lead)) for n, lead in enumerate(leads))]
    rest = records([Time(MONDAY + 61 * DAY_S), Did(MONDAY, lead="u:ana"), Time(MONDAY), Time(MONDAY)], 5000)
    for n, record in enumerate(rest):
        before = len(box.outputs)
        box.feed([record])
        gone = [it.key for it in box.outputs[before:] if it.topic == "lead.state" and it.value is None]
        assert gone == wanted[500 * n : 500 * (n + 1)]


def test_who_is_only_looked_at_takes_nobodys_turn() -> None:
    """A tick after a long silence: 600 visitors who have come again meanwhile do not keep a hot lead from cooling."""
    visitors = [Did(MONDAY + n * DAY_S, lead=f"a:{who}") for n in (0, 40) for who in range(600)]
    box = Box().feed(records([HAND, PAPER, *visitors]))
    box.feed(records([Time(MONDAY + 61 * DAY_S)], 9_000))
    assert heat(box) == [(2, "hot"), (9_000, "cold")]


def test_a_record_looks_at_5000_leads() -> None:
    """More have to wait for the next record, though nothing is due of all those before them."""
    visitors = [Did(MONDAY + n * DAY_S, lead=f"a:{who}") for n in (0, 40) for who in range(5_000)]
    idle = [Did(MONDAY + 1, lead="a:idle")]
    box = Box().feed(records([*visitors, *idle]))
    box.feed(records([Time(MONDAY + 61 * DAY_S)], 30_000))
    assert box.last_states()[key_of("a:idle")] is not None
    box.feed(records([Time(MONDAY + 61 * DAY_S)], 30_002))
    assert box.last_states()[key_of("a:idle")] is None


def test_twenty_thousand_events_fit_into_64_kib() -> None:
    """The state of a lead stays below 64 KiB after 20,000 events within a month, and below 600 bytes after ten."""
    kinds = ["page_view", "download", "search", "email_click", "custom:project_created", "webinar_attend"]
    story = [Did(MONDAY + 120 * n, kinds[n % 6], f"/asset/{n}", name=str(n)) for n in range(20_000)]
    box = Box().feed(records(story), range(0, 20_000, 1000))
    assert len(box.changelog[key_of("u:ana")]) <= 64 * 1024
    assert sum(row.decayed_millipoints for row in box.explain(story[-1].at_s).rows) == box.score(story[-1].at_s)
    assert len(Box().feed(records(story[:10])).changelog[key_of("u:ana")]) <= 600


def test_who_cannot_be_reached_is_not_hot() -> None:
    """Ninety points without an address are nobody to call; the moment one is known, they are hot."""
    seen = [Did(MONDAY, "demo_request", lead="a:x"), Did(MONDAY, "trial_start", "fleet", "a:x")]
    box = Box().feed(records(seen))
    assert heat(box) == []
    assert box.score(MONDAY, "a:x") == 80_000
    box.feed(records([Did(MONDAY + 1, "page_view", lead="a:x", mail=True)], 10))
    assert heat(box) == [(10, "hot")]
    assert len(box.said(LeadAlert)) == 1
