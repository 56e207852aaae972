"""The oracles of the desk and of notices find nothing in what is right, and every sort of fault that is planted."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from schemas.codec import decode, encode
from schemas.records import Assignment, Delivery, LeadAlert, Notice, RaisedHand, Waited
from tests.oracle import desk, notices
from tests.oracle.replay import Record
from tests.streams.desk.harness import MINUTE, MONDAY, SHIPPED, Box, did, hand, lead, log_of, ticks, waited

STORY = [
    *ticks(MONDAY - 3_000, MONDAY),
    (MONDAY, hand(1, "u:ana", engagement=b"an event")),
    (MONDAY, hand(1, "u:ana", engagement=b"an event")),
    (MONDAY, waited(3, "u:ida")),
    (MONDAY, waited(3, "u:ida")),
    (MONDAY, waited(4, "u:ana")),
    (MONDAY, hand(2, "u:tom", verdict="suspect")),
    *ticks(MONDAY + 1_000, MONDAY + 6 * MINUTE, 5_000),
    (MONDAY + 6 * MINUTE, did(1, "ben", "contacted", 1)),
    *ticks(MONDAY + 6 * MINUTE, MONDAY + 7 * MINUTE, 5_000),
]


class Scene:
    """The desk's topics after the story; to plant faults in."""

    def __init__(self) -> None:
        self.inbox = log_of(STORY)
        outputs = Box(SHIPPED).feed(self.inbox).outputs
        self.assignments, self.notices = (
            [
                Record(n, MONDAY, it.key, it.value, dict(it.headers)["ce_id"])
                for n, it in enumerate(each for each in outputs if each.topic == name)
            ]
            for name in ("lead.assignments", "desk.notices")
        )
        self.waiting = [
            Record(body.offset, MONDAY, None, body.waiting)
            for body in dict.fromkeys(decode(it.value or b"") for it in self.inbox)
            if isinstance(body, Waited)
        ]
        self.copies = {bytes.fromhex(hand(1).request_id): 1}

    def found(self) -> desk.DeskFound:
        """What the oracle says."""
        found = desk.judge(self.inbox, [self.assignments], [self.waiting])
        missing, doubled = desk.passed_on_once(found, self.copies)
        found.missing += missing
        found.doubled += doubled
        return found

    def change(self, number: int, **changes: object) -> None:
        """Have an assignment say something else."""
        old = self.assignments[number]
        said = decode(old.value or b"")
        assert isinstance(said, Assignment)
        value = encode(msgspec.structs.replace(said, **changes))
        self.assignments[number] = Record(old.offset, old.timestamp, old.key, value, old.id)


def lose_hand(scene: Scene) -> None:
    """Nothing was ever decided about the first hand."""
    scene.assignments = [it for it in scene.assignments if hand(1).request_id.encode() not in (it.value or b"")]


def lose_mail(scene: Scene) -> None:
    """What a lead wrote never came to the desk."""
    scene.waiting.append(Record(5, MONDAY, None, scene.waiting[0].value))


def skip_mail(scene: Scene) -> None:
    """What a lead wrote was passed over by what it wrote later."""
    scene.waiting.reverse()


def ignore_mail(scene: Scene) -> None:
    """The desk had it and did nothing about it."""
    scene.assignments = [it for it in scene.assignments if b"w0-3" not in (it.value or b"")]


def twice(scene: Scene) -> None:
    """A decision stands twice."""
    scene.assignments.append(scene.assignments[-1])


def revive(scene: Scene) -> None:
    """A request that had ended goes on by itself."""
    last = len(scene.assignments) - 1
    scene.assignments.append(scene.assignments[last])
    scene.change(last + 1, status="assigned", source_offset=len(STORY) - 1)


def back(scene: Scene) -> None:
    """A request's decisions do not stand in their order."""
    scene.assignments.reverse()


def stranger(scene: Scene) -> None:
    """Something is assigned that nobody asked for."""
    scene.inbox = [it for it in scene.inbox if not isinstance(decode(it.value or b""), RaisedHand)]


def again(scene: Scene) -> None:
    """A hand that came twice is decided twice."""
    scene.assignments.append(scene.assignments[0])
    first = decode(scene.assignments[0].value or b"")
    assert isinstance(first, Assignment)
    scene.change(len(scene.assignments) - 1, source_offset=first.source_offset + 1)


@pytest.mark.parametrize(
    ("plant", "where"),
    [
        (lose_hand, "missing"),
        (lose_mail, "missing"),
        (skip_mail, "missing"),
        (ignore_mail, "missing"),
        (lambda scene: scene.copies.clear(), "missing"),
        (lambda scene: scene.copies.update({bytes.fromhex(hand(1).request_id): 2}), "doubled"),
        (twice, "doubled"),
        (stranger, "without_cause"),
        (again, "without_cause"),
        (lambda scene: scene.change(0, owner=None, queue=None), "wrong"),
        (lambda scene: scene.change(0, owner="ben", queue="desk"), "wrong"),
        (lambda scene: scene.change(0, due_at=None, next_slot_at=None), "wrong"),
        (revive, "wrong"),
        (back, "wrong"),
    ],
)
def test_a_planted_fault_of_the_desk_is_found(plant: Callable[[Scene], object], where: str) -> None:
    """What is lost, doubled, invented or out of order is found under its name."""
    scene = Scene()
    plant(scene)
    assert getattr(scene.found(), where)


def test_nothing_is_found_where_the_desk_is_right() -> None:
    """The desk's own words pass, and all of them are counted."""
    found = Scene().found()
    assert (found.missing, found.doubled, found.without_cause, found.wrong) == ([], [], [], [])
    wanted = {"requests": 2, "waited": 2, "repeats": 2, "activities": 1, "final": 1, "open": 2}
    assert {what: found.counts[what] for what in wanted} == wanted


def test_mail_to_the_desk_follows_alerts() -> None:
    """Who is given an alert waits for the desk: what lacks is found, and what nobody was told of."""
    [wrote] = [it for it in Scene().waiting if it.offset == 3]
    hot = LeadAlert("", "hot_lead", lead("u:ida"), 0, 0, 1, (), "", None, None, "", None, 0, 3)
    alert = Record(0, 0, None, encode(hot))
    assert desk.compare_mail([wrote], [alert], []) == ([], [])
    assert [len(each) for each in desk.compare_mail([], [alert], [])] == [1, 0]
    assert [len(each) for each in desk.compare_mail([wrote, wrote], [alert], [])] == [0, 1]


def delivered(scene: Scene, status: str = "sent") -> list[Record]:
    """Each notice was brought to the endpoint."""
    said = [it for record in scene.notices if isinstance(it := decode(record.value or b""), Notice)]
    ends = (
        Delivery("d", it.notice_id, it.to, it.kind, None, None, "webhook", "crm", status, 1, MONDAY, None, False, "")
        for it in said
    )
    return [Record(n, MONDAY, None, encode(it)) for n, it in enumerate(ends)]


def test_notices_end_once() -> None:
    """What is lost on its way, ends twice, was said twice or by nobody is found."""
    scene = Scene()
    said, done, later = scene.notices, delivered(scene), MONDAY + 60 * MINUTE
    arrived = {it.notice_id for record in said if isinstance(it := decode(record.value or b""), Notice)}

    def judged(*given: object) -> list[bool]:
        found = notices.judge(*given, "crm", later)  # type: ignore[arg-type]
        assert found.counts["notices"] == len(said) > 3
        return [bool(found.missing), bool(found.doubled), bool(found.without_cause)]

    assert judged(said, done, arrived) == [False, False, False]
    assert judged(said, done[1:], arrived) == [True, False, False]
    assert judged(said, done, set()) == [True, False, False]
    assert judged(said, delivered(scene, "failed"), arrived) == [True, False, False]
    assert judged(said, [*done, done[0]], arrived) == [False, True, False]
    assert judged([*said, said[0]], done, arrived) == [False, True, False]
    stray = Delivery("d", "x", "ana", "", None, None, "webhook", "crm", "failed", 1, MONDAY, None, False, "")
    assert judged(said, [*done, Record(99, 0, None, encode(stray))], arrived) == [False, False, True]
