"""The demo's story, and the ledger by which it proves that nothing was lost or doubled."""

import itertools
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from handraise import rules
from handraise.demo import shifts
from handraise.demo.cast import (
    DUNMORE,
    ELIF,
    JONAS,
    JONAS_ASKS,
    JONAS_EMAIL,
    MARTA,
    MARTA_AT_WORK,
    MARTA_ID,
    signed_in,
)
from handraise.demo.ledger import Ledger, Union, percentiles
from handraise.demo.requests import Requests
from handraise.demo.story import DAY_MS, HISTORY_DAYS, Act, Story, call_me, is_hand, page
from handraise.demo.summary import SNIPPET
from handraise.failure import Failure
from handraise.settings import ROOT
from handraise.subscriber import Seen
from schemas.records import (
    Assignment,
    LeadAlert,
    LeadState,
    LeadTransition,
    Quarantined,
    RaisedHand,
    Record,
    Rejected,
)
from streams.identity import event_id, lead_id

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


def test_the_scenes_are_jonas_elif_the_scanner_and_marta() -> None:
    """Jonas asks at second 5; Elif looks at prices; the scanner clicks 14 times in 0.8 s; Marta signs in twice."""
    scenes = Story.scenes()
    assert [scene.second for scene in scenes] == sorted(scene.second for scene in scenes)
    [asks] = [scene for scene in scenes if is_hand(scene.call)]
    assert (asks.second, asks.person.anonymous_id, asks.person.email) == (5.0, JONAS.anonymous_id, JONAS_EMAIL)
    clicks = [scene for scene in scenes if scene.person is DUNMORE]
    assert len(clicks) == 14
    assert round(clicks[-1].second - clicks[0].second, 3) == 0.8
    looks = [scene for scene in scenes if scene.person is ELIF][-1]
    assert (looks.second, looks.call["name"]) == (15.0, "Pricing")
    signs_in = [scene.person.anonymous_id for scene in scenes if scene.call["type"] == "identify"]
    assert signs_in == [MARTA.anonymous_id, MARTA_AT_WORK.anonymous_id]
    before = [scene for scene in scenes if scene.person in (MARTA, MARTA_AT_WORK)]
    assert len(before) == 5 and all(scene.person.email is None for scene in before)


def test_somebody_is_on_shift_at_every_hour(tmp_path: Path) -> None:
    """In the demo's copy of the rules people work day and night, and an unanswered request moves on after a minute."""
    desk = rules.load(shifts.copy(ROOT / "rules", tmp_path / "rules")).desk
    midnight = 1_795_000_000_000 // DAY_MS * DAY_MS
    for hour in range(0, 14 * 24, 5):
        at = midnight + hour * 3_600_000
        on = {person.id for person in desk.roster.people.values() if person.on_until(at) >= at + 6 * 60_000}
        assert {"ana", "ben", "mert"} <= on
        assert "ceyda" not in on
    assert desk.routing.classes["contact_request"].ladder[0] == (60_000, "offer")


def test_rules_that_cannot_be_changed_are_named(tmp_path: Path) -> None:
    """A ladder that is written in another way is a failure that names the file, before anything has started."""
    given = shutil.copytree(ROOT / "rules", tmp_path / "given")
    (given / "routing.toml").write_text((given / "routing.toml").read_text().replace("ladder = [", "ladder=["))
    with pytest.raises(Failure) as failed:
        shifts.copy(given, tmp_path / "rules")
    assert failed.value.where == str(given / "routing.toml")


def hand(message_id: str) -> RaisedHand:
    """What the gateway makes of Jonas's form."""
    request_id = event_id("demo", message_id).hex()
    fields: dict[str, Any] = dict.fromkeys(RaisedHand.__struct_fields__, "")
    who = {"name": JONAS.name, "company": JONAS.company, "identifiers": ("e_1", "a_2"), "score_millipoints": None}
    return RaisedHand(**fields | who | {"request_id": request_id, "verdict_reasons": (), "message": JONAS_ASKS})


def assignment(request: RaisedHand, owner: str, status: str) -> Assignment:
    """What the desk says of it."""
    fields: dict[str, Any] = dict.fromkeys(Assignment.__struct_fields__, None)
    said = {"owner": owner, "status": status, "trace": ("why",), "follow_up_class": "contact_request"}
    return Assignment(**fields | said | {"request_id": request.request_id, "lead_id": "e_1"})


def test_a_raised_hand_is_followed_to_its_end() -> None:
    """A request waits until the desk has spoken, is open until somebody was reached, and is timed once."""
    asks = Act(NOW_MS, JONAS, "m1", call_me())
    requests = Requests("demo", {"ben": "Ben Holm", "ana": "Ana Duarte"}, lambda leads: 1_000 * len(leads))
    requests.posting([asks, *acts(3)])
    assert not requests.settled
    asked = hand("m1")
    assert requests.seen(seen(assignment(asked, "ben", "assigned"))) == []  # the topics are read side by side
    [request] = requests.seen(seen(asked))
    assert (request.who, request.score, requests.settled) == ("Jonas Vik, Brightwater Pharma", 2_000, True)
    assert (requests.owner_of("e_1"), len(requests.took_ms), requests.open) == ("Ben Holm", 1, [request])
    for _ in range(2):  # a stream that is taken up again repeats itself
        requests.shown(asked.request_id)
    requests.shown("0" * 16)
    assert len(requests.screen_ms) == 1
    requests.seen(seen(assignment(asked, "ana", "offered"), assignment(asked, "ana", "contacted")))
    assert (requests.open, requests.assigned, len(requests.took_ms)) == ([], 1, 1)


def test_a_guest_of_the_sample_site_is_no_part_of_the_account() -> None:
    """Who clicks around the site while the demo runs is neither a lost nor a doubled event of its visitors."""
    ledger = told(1)
    guest = msgspec.structs.replace(state(5), lead_id="a_guest", behaviour_millipoints=9_000)
    ledger.seen(seen(state(1), guest))
    assert (ledger.lost(), ledger.doubled(), ledger.settled, ledger.scored) == (0, 0, True, 1)
    assert ledger.worth(["a_guest"]) == 9_000


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
    ledger.posting([Act(NOW_MS, MARTA, "other", page("/"))], live=True)
    other = msgspec.structs.replace(state(2), lead_id=ledger.lead(MARTA))
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
