"""The demo's story, and the ledger by which it proves that nothing was lost or doubled."""

import itertools
from types import SimpleNamespace
from typing import Any

import msgspec

from handraise.demo.cast import DUNMORE, ELIF, MARTA, MARTA_AT_WORK, MARTA_ID, signed_in
from handraise.demo.ledger import Ledger, Union, percentiles
from handraise.demo.story import DAY_MS, HISTORY_DAYS, Act, Story, page
from handraise.demo.summary import SNIPPET
from handraise.subscriber import Seen
from schemas.records import LeadAlert, LeadState, LeadTransition, Quarantined, Record, Rejected
from streams.identity import lead_id

NOW_MS = 1_795_000_000_000
KEY = b"key"
ELIF_ID = lead_id("e", str(ELIF.email), KEY)
MARTAS = lead_id("u", MARTA_ID, KEY)


def seen(*values: Record) -> list[Seen]:
    """Records as a subscriber gets them."""
    raw: Any = SimpleNamespace()
    return [Seen("", raw, value, "") for value in values]


def acts(number: int, person: Any = ELIF) -> list[Act]:
    """Page views of one person."""
    return [Act(NOW_MS + n, person, f"m{n}", page("/")) for n in range(number)]


def state(events: int) -> LeadState:
    """Elif's state after so many events."""
    return LeadState(ELIF_ID, 0, 0, 4, False, None, "visitor", 0, 0, 0, events, 1, "m", 0, 0)


def alert(name: str) -> LeadAlert:
    """An alert about Elif."""
    return LeadAlert(name, "hot_lead", ELIF_ID, 0, 61_000, 1, (), "after_session", ELIF.email, None, "m", None, 0, 0)


def told(number: int) -> Ledger:
    """A ledger after so many acknowledged events of Elif."""
    ledger = Ledger("demo", KEY)
    ledger.posting(acts(number), live=True)
    ledger.posted(acts(number))
    return ledger


def test_a_seed_tells_one_story() -> None:
    """The same seed tells the same history, in order, within its days; another seed another one."""
    history = Story(3, 30).history(NOW_MS)
    assert history == Story(3, 30).history(NOW_MS)
    assert history != Story(4, 30).history(NOW_MS)
    assert all(one.at_ms <= other.at_ms for one, other in itertools.pairwise(history))
    assert all(0 < NOW_MS - act.at_ms <= HISTORY_DAYS * DAY_MS for act in history)


def test_a_history_has_repeats_bots_and_broken_events() -> None:
    """Among three hundred visitors are repeated deliveries, crawlers, broken events and people with an address."""
    history = Story(1, 300).history(NOW_MS)
    assert len({act.message_id for act in history}) < len(history)
    assert any(act.person.is_bot for act in history)
    assert any(act.broken for act in history)
    assert any(act.person.email for act in history) and any(not act.person.email for act in history)


def test_live_visits_never_end() -> None:
    """However long the demo runs, somebody does something next."""
    for visitors in (1, 50):
        assert len(list(itertools.islice(Story(1, visitors).live(), 2_000))) == 2_000


def test_the_scenes_are_elif_the_scanner_and_marta() -> None:
    """Elif reads a paper and looks at prices; the scanner clicks 14 times in 0.8 s; Marta signs in on two devices."""
    scenes = Story.scenes()
    assert [scene.second for scene in scenes] == sorted(scene.second for scene in scenes)
    clicks = [scene for scene in scenes if scene.person is DUNMORE]
    assert len(clicks) == 14
    assert round(clicks[-1].second - clicks[0].second, 3) == 0.8
    assert scenes[3].person is ELIF and scenes[3].call["name"] == "Pricing"
    signs_in = [scene.person.anonymous_id for scene in scenes if scene.call["type"] == "identify"]
    assert signs_in == [MARTA.anonymous_id, MARTA_AT_WORK.anonymous_id]
    before = [scene for scene in scenes if scene.person in (MARTA, MARTA_AT_WORK)]
    assert len(before) == 5 and all(scene.person.email is None for scene in before)


def test_a_true_account_shows_nothing_lost_or_doubled() -> None:
    """When every acknowledged event counts once, nothing is lost or doubled, and all is settled."""
    ledger = told(3)
    assert (ledger.lost(), ledger.doubled(), ledger.settled) == (3, 0, False)
    ledger.seen(seen(state(3), alert("a"), alert("b")))
    assert (ledger.lost(), ledger.doubled(), ledger.settled) == (0, 0, True)
    assert ledger.kinds() == {"hot_lead": 2}
    assert len(ledger.state_ms) == 1


def test_a_lost_event_is_seen_though_another_is_doubled() -> None:
    """One lead's loss is not made good by another lead's surplus."""
    ledger = told(3)
    other = LeadState("a_other", 0, 0, 4, False, None, "visitor", 0, 0, 0, 1, 1, "m", 0, 0)
    ledger.seen(seen(state(2), other))
    assert (ledger.lost(), ledger.doubled()) == (1, 1)


def test_an_alert_that_comes_twice_is_doubled() -> None:
    """An alert seen twice under one id counts as doubled, and is shown once."""
    ledger = told(1)
    assert len(ledger.seen(seen(state(1), alert("a"), alert("a")))) == 1
    assert ledger.doubled() == 1


def test_bots_repeats_and_broken_events_count_for_no_lead() -> None:
    """What is filtered or rejected is expected to be: it settles the account without a score."""
    ledger = Ledger("demo", KEY)
    broken = Act(NOW_MS, ELIF, "b", {"type": "track"}, broken=True)
    sent = [*acts(1), *acts(1), *acts(1, DUNMORE), broken]
    ledger.posting(sent, live=False)
    ledger.posted(sent)
    rejected = Rejected("demo", "no_event_name", "", 0, b"")
    quarantined = [Quarantined("", verdict, (), 0, "", b"", 0, 0) for verdict in ("bot", "duplicate")]
    ledger.seen(seen(state(1), rejected, *quarantined))
    assert (ledger.lost(), ledger.doubled(), ledger.settled) == (0, 0, True)
    assert (ledger.sent, ledger.accepted, ledger.rejected, ledger.quarantined) == (4, 3, 1, 2)


def moved(device: Any, millipoints: int) -> LeadTransition:
    """A device of Marta's becomes a part of her lead."""
    lead = told(0).lead(device)
    return LeadTransition(lead, "identity", "lead", "moved", 0, "", None, millipoints, 0, 0, MARTAS)


def gone(device: Any) -> Seen:
    """The tombstone of its state."""
    raw: Any = SimpleNamespace(key=told(0).lead(device).encode())
    return Seen("lead.state", raw, None, "")


def test_what_two_devices_did_counts_for_one_person() -> None:
    """Events of two devices that sign in are expected of the one lead, with what each was worth and all are."""
    devices = [MARTA, MARTA_AT_WORK]
    ledger, leads = Ledger("demo", KEY), [told(0).lead(device) for device in devices]
    for n, person in enumerate([*devices, *map(signed_in, devices)]):
        sent = [Act(NOW_MS + n, person, f"m{n}", page("/"))]
        ledger.posting(sent, live=True)
        ledger.posted(sent)
    ledger.seen(seen(*(msgspec.structs.replace(state(1), lead_id=lead) for lead in leads)))
    assert (ledger.union(leads), ledger.lost()) == (None, 2)
    ledger.seen([*seen(moved(MARTA, 3_000), moved(MARTA_AT_WORK, 4_000)), *map(gone, devices)])
    assert (ledger.lost(), ledger.doubled(), ledger.settled) == (4, 0, False)
    ledger.seen(seen(msgspec.structs.replace(state(4), lead_id=MARTAS, behaviour_millipoints=7_000)))
    assert ledger.union(leads) == Union([3_000, 4_000], 7_000, 4, 4)
    assert (ledger.lost(), ledger.doubled(), ledger.settled) == (0, 0, True)
    ledger.seen(seen(msgspec.structs.replace(state(5), lead_id=MARTAS)))
    assert (ledger.doubled(), ledger.settled) == (1, False)


def test_percentiles_are_of_values_that_were_measured() -> None:
    """p50 and p99 are values of the sample; without one there are none."""
    assert percentiles([]) == {"p50": None, "p99": None, "count": 0}
    assert percentiles([5.0]) == {"p50": 5.0, "p99": 5.0, "count": 1}
    assert percentiles([float(n) for n in range(100, 0, -1)]) == {"p50": 51.0, "p99": 100.0, "count": 100}


def test_the_snippet_is_a_script_with_key_and_address() -> None:
    """What people paste has the gateway's address and the write key, and no placeholder left."""
    snippet = SNIPPET.format(key="demo", gateway="http://127.0.0.1:8080")
    assert "http://127.0.0.1:8080/analytics.js/v1/demo/analytics.min.js" in snippet
    assert "{{" not in snippet and "{key}" not in snippet
