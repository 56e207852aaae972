"""From a raised hand to its owner, as an operator runs it: real Kafka, gateway, workers, and what they say."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from schemas.codec import decode, encode
from schemas.keys import partition_of
from schemas.records import Assignment, Engagement, Notice, Waiting
from tests.e2e.deployment import ROOT, Child, Deployment, Supervisor, call, until
from tests.e2e.reading import rows

ALWAYS = '{ mon-sun = ["00:00-24:00"] }'
NEVER = '{ %s = ["03:00-03:01"] }'
PERSON = """
[[person]]
id = "{id}"
name = "{name}"
email = "{id}@harbourlight.example"
team = "sales"
zone = "{zone}"
hours = {hours}
topics = [{topics}]
territories = [{territories}]
languages = ["en"]
"""


def roster(hours: str) -> str:
    """Ana, Ben and Mert as shipped, but with these hours and no holidays."""
    people = (
        ("ana", "Ana Duarte", "Europe/Lisbon", '"sales"', '"southern-europe"'),
        ("ben", "Ben Holm", "Europe/Copenhagen", '"sales"', '"nordics"'),
        ("mert", "Mert Kaya", "Europe/Istanbul", '"support", "partner", "press"', ""),
    )
    team = '[[team]]\nid = "sales"\nname = "Sales"\nmanager = "mert"\n'
    return team + "".join(
        PERSON.format(id=id, name=name, zone=zone, hours=hours, topics=topics, territories=territories)
        for id, name, zone, topics, territories in people
    )


def rules(folder: Path, hours: str) -> str:
    """The shipped rules with another roster; their folder."""
    shutil.copytree(ROOT / "rules", folder)
    (folder / "roster.toml").write_text(roster(hours))
    return str(folder)


def hand(number: int | str, country: str = "DK", **properties: str) -> dict[str, Any]:
    """A visitor asks to be called."""
    form = {"email": f"visitor-{number}@brightwater.example", "name": f"Visitor {number}", "country": country}
    return call(
        "track", f"hand-{number}", event="Call Requested", userId=f"visitor-{number}", properties=form | properties
    )


def post(gateway: str, *calls: dict[str, Any]) -> None:
    """Post a batch; it must be taken."""
    answer = httpx.post(f"{gateway}/v1/batch", json={"batch": list(calls)}, auth=("demo", ""), timeout=20)
    assert answer.status_code == 200, answer.text


@dataclass
class Desk:
    """A deployment with a gateway and the desk."""

    place: Deployment
    gateway: str

    def said(self, name: str = "lead.assignments") -> list[Any]:
        """All assignments, or notices, as a reader of committed records sees them, in the order of their decisions."""
        found = [decode(row.value or b"") for row in rows(self.place.kafka, self.place.topic(name))]
        return sorted(found, key=lambda each: getattr(each, "source_offset", 0))  # type: ignore[no-any-return]

    def of(self, number: int | str, least: int = 1) -> list[Assignment]:
        """What was decided about a visitor's requests, once there is so much of it."""
        lead = self.place.lead("u", f"visitor-{number}")
        return until(
            lambda: found if len(found := [each for each in self.said() if each.lead_id == lead]) >= least else [],
            f"{least} assignments of visitor {number}",
        )

    def desk(self, *words: str, code: int = 0) -> Any:
        """A command of `handraise desk`, or `audit`."""
        done = self.place.run(*words, "--json")
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)

    def audited(self, requests: int) -> dict[str, Any]:
        """The audit, which must be clean and complete."""
        found: dict[str, Any] = self.desk("audit")
        assert found["problems"] == []
        assert (found["requests"], found["on_the_way"]) == (requests, 0)
        return found


@pytest.fixture
def opened(deploy: Callable[..., Deployment], tmp_path: Path) -> Iterator[Callable[[str], Desk]]:
    """Make a deployment whose people work at these hours; the desk itself is not started."""

    def make(hours: str) -> Desk:
        place = deploy()
        place.env["HANDRAISE_RULES"] = rules(tmp_path / "rules", hours)
        place.create_topics()
        return Desk(place, place.gateway().await_ready().url())

    yield make


def worker(place: Deployment, *more: str) -> Child:
    """A desk worker."""
    return place.worker(*more, role="desk")


def test_a_raised_hand_gets_an_owner(opened: Callable[[str], Desk]) -> None:
    """One owner by territory, a deadline and the way to it; the rep and the visitor are told; the lead scores, too."""
    shop = opened(ALWAYS)
    roles = shop.place.worker(role="all")
    before = time.time_ns() // 1_000_000
    post(shop.gateway, hand(1), hand(1), hand(2, "PT"), hand(3, "DK", topic="press"))
    for number, owner in ((1, "ben"), (2, "ana"), (3, "mert")):
        [first] = shop.of(number)
        assert (first.owner, first.queue, first.status, first.follow_up_class) == (
            owner,
            None,
            "assigned",
            "contact_request",
        )
        assert first.due_at is not None
        assert before < first.due_at <= time.time_ns() // 1_000_000 + 5 * 60_000
        assert first.trace
    notices: list[Notice] = shop.said("desk.notices")
    assert {each.to for each in notices if each.kind == "raised_hand"} == {"ana", "ben", "mert"}
    assert sum(each.kind == "confirmation" for each in notices) == 3
    lead = shop.place.lead("u", "visitor-1").encode()
    passed = [row for row in rows(shop.place.kafka, shop.place.topic("lead.events")) if row.key == lead]
    assert sum(isinstance(decode(row.value or b""), Engagement) for row in passed) == 1
    until(lambda: shop.place.run("lead", "user:visitor-1").returncode == 0, "the lead to be scored")
    assert shop.desk("lead", "user:visitor-1")["owner"] == "ben"
    assert shop.audited(3)["open"] == 3
    roles.stop()


def test_nobody_on_shift(opened: Callable[[str], Desk]) -> None:
    """A named queue with a responsible person and the next slot; the visitor is told; nothing is without a due date."""
    today = time.gmtime(time.time() + 3 * 86_400)
    shop = opened(NEVER % ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[today.tm_wday])
    worker(shop.place)
    post(shop.gateway, hand(1))
    [first] = shop.of(1)
    assert (first.owner, first.queue, first.responsible, first.status) == (None, "desk", "mert", "queued")
    assert first.next_slot_at is not None
    assert first.next_slot_at > time.time_ns() // 1_000_000
    assert any(each.kind == "confirmation" for each in shop.said("desk.notices"))
    assert shop.audited(1)["queued"] == 1


def test_two_accept_at_once(opened: Callable[[str], Desk]) -> None:
    """The first in the log has it, the other is told who; contacted ends the countdown."""
    shop = opened(ALWAYS)
    worker(shop.place).await_ready()
    post(shop.gateway, hand(1))
    [first] = shop.of(1)
    won = shop.desk("desk", "activity", "accept", first.request_id, "--rep", "ben")
    assert [each["owner"] for each in won["assignments"]] == ["ben"]
    late = shop.desk("desk", "activity", "accept", first.request_id, "--rep", "ana", code=1)
    assert any("ben" in each["text"].lower() for each in late["notices"])
    done = shop.desk("desk", "activity", "contacted", first.request_id, "--rep", "ben", "--channel", "phone")
    assert [(each["status"], each["due_at"]) for each in done["assignments"]] == [("contacted", None)]
    assert shop.desk("desk", "list") == {"requests": []}
    assert shop.audited(1)["final"] == 1


def test_a_suspect_is_checked_by_people(opened: Callable[[str], Desk]) -> None:
    """Whoever fills the field that nobody sees waits in the queue `check`; the event gives no points."""
    shop = opened(ALWAYS)
    worker(shop.place)
    post(shop.gateway, hand(1, _gotcha="x"))
    [first] = shop.of(1)
    assert (first.owner, first.queue, first.follow_up_class) == (None, "check", "suspect")


def test_two_hundred_hands_under_kills(opened: Callable[[str], Desk]) -> None:
    """A desk killed again and again loses no hand, doubles no decision, and passes each event on once."""
    shop = opened(ALWAYS)
    desk = Supervisor(shop.place, lambda: worker(shop.place))
    for kill in range(5):
        post(shop.gateway, *(hand(number, "DK" if number % 2 else "PT") for number in range(kill * 40, kill * 40 + 20)))
        until(lambda kill=kill: len(shop.said()) > kill * 40, "the desk to be at work")  # type: ignore[misc]
        post(shop.gateway, *(hand(number) for number in range(kill * 40 + 20, kill * 40 + 40)))
        desk.child.process.kill()
        until(lambda kill=kill: desk.restarts > kill, "the next desk")  # type: ignore[misc]
    until(lambda: len({each.request_id for each in shop.said()}) == 200, "all hands to be answered")
    until(lambda: shop.desk("audit")["on_the_way"] == 0, "the desk to have read all")
    shop.audited(200)
    passed = [
        body.event_id
        for row in rows(shop.place.kafka, shop.place.topic("lead.events"))
        if isinstance(body := decode(row.value or b""), Engagement)
    ]
    assert len(passed) == len(set(passed)) == 200
    until(desk.ready, "the last desk")
    desk.stop()


def wait_at_the_desk(place: Deployment, numbers: Iterable[int], reason: str = "hot") -> None:
    """Write mail to the desk as leads do that got hot, or qualified."""
    producer = Producer({"bootstrap.servers": place.kafka})
    for number in numbers:
        lead = place.lead("u", f"visitor-{number}")
        waiting = Waiting(
            lead, reason, time.time_ns() // 1_000_000, 61_000, 1, "DK", None, ("looked at Pricing",), 0, 0
        )
        where = partition_of(lead.encode(), place.partitions)
        producer.produce(place.topic("desk.waiting"), encode(waiting), lead.encode(), where)
        producer.poll(0)
    assert producer.flush(60) == 0


def test_what_waits_arrives_once_under_kills(opened: Callable[[str], Desk]) -> None:
    """Leads that wait on desk.waiting get one decision each, though the desk is killed while it copies them."""
    shop = opened(ALWAYS)
    desk = Supervisor(shop.place, lambda: worker(shop.place))
    for kill in range(3):
        wait_at_the_desk(shop.place, range(kill * 400, kill * 400 + 400))
        until(lambda kill=kill: len(shop.said()) > kill * 400, "the desk to be at work")  # type: ignore[misc]
        desk.child.process.kill()
        until(lambda kill=kill: desk.restarts > kill, "the next desk")  # type: ignore[misc]
    until(lambda: len({each.lead_id for each in shop.said()}) == 1_200, "all leads to be followed up")
    shop.audited(0)
    firsts = [each for each in shop.said() if each.cause != "deadline"]
    assert len(firsts) == len({each.request_id for each in firsts}) == 1_200
    assert {each.follow_up_class for each in firsts} == {"hot_lead"}
    until(desk.ready, "the last desk")
    desk.stop()


@pytest.mark.chaos_long
@pytest.mark.timeout(900)
def test_hands_do_not_wait_behind_leads(opened: Callable[[str], Desk]) -> None:
    """100,000 qualified leads wait for the desk: 200 who raise a hand meanwhile are answered before, each once."""
    shop, hands, leads = opened(ALWAYS), 200, 100_000
    wait_at_the_desk(shop.place, range(hands, hands + leads), "mql")
    desk = worker(shop.place)
    until(shop.said, "the desk to be at work")
    post(shop.gateway, *(hand(number) for number in range(hands)))
    raised = {shop.place.lead("u", f"visitor-{number}") for number in range(hands)}

    def answered() -> set[str]:
        return {each.lead_id for each in shop.said()}

    first = until(lambda: found if raised <= (found := answered()) else set(), "all hands to be answered")
    assert len(first - raised) < leads
    until(lambda: len(answered()) == hands + leads, "all leads to be followed up", 600)
    decided = Counter(
        each.request_id for each in shop.said() if each.cause != "deadline" and each.lead_id not in raised
    )
    assert len(decided) == decided.total() == leads
    shop.audited(hands)
    desk.stop()


def test_who_gets_hot_is_followed_up(opened: Callable[[str], Desk]) -> None:
    """A trial, the prices and two projects make a lead hot: it has an owner, though it raised no hand."""
    shop = opened(ALWAYS)
    roles = shop.place.worker(role="all")
    did = [("identify", {"traits": {"email": "elif@kestrel.example"}}), ("track", {"event": "Trial Started"})]
    did += [("page", {"properties": {"path": "/pricing", "title": "Pricing"}})]
    did += [("track", {"event": "Project Created", "properties": {"name": name}}) for name in ("north", "south")]
    post(shop.gateway, *(call(kind, n, userId="visitor-9", **fields) for n, (kind, fields) in enumerate(did)))
    hot = until(
        lambda: [each for each in shop.of(9) if each.follow_up_class == "hot_lead"], "the hot lead to be followed up"
    )
    assert hot[-1].owner in {"ana", "ben"}
    assert len({each.owner for each in shop.of(9)}) == 1
    roles.stop()


def test_after_a_kill_the_next_hand_is_owned_within_five_seconds(opened: Callable[[str], Desk]) -> None:
    """With a second desk standing by, a SIGKILL of the first delays a hand by a session and a takeover."""
    shop = opened(ALWAYS)
    desks = [worker(shop.place), worker(shop.place)]
    post(shop.gateway, hand(0))
    shop.of(0)
    for desk in desks:
        until(lambda desk=desk: "serve" in desk.log(), "both desks to be there")  # type: ignore[misc]
    owner = until(lambda: next((each for each in desks if _owns(each)), None), "one of them to own the desk")
    assert owner is not None
    owner.kill()
    began = time.monotonic()
    post(shop.gateway, hand(1))
    shop.of(1)
    assert time.monotonic() - began < 5 + 1  # the reader of this test takes its time, too


def _owns(desk: Child) -> bool:
    """Whether this desk has folded anything."""
    text = httpx.get(f"{desk.url()}/metrics", timeout=5).text
    return any(
        line.startswith("handraise_lane_records_total{") and float(line.rpartition(" ")[2]) > 0
        for line in text.splitlines()
    )
