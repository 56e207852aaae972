"""The no-lost-hand audit sees each way in which a promise can be broken, and nothing where it was kept."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

import msgspec
import pytest

from handraise.audit import ASSIGNMENTS, INBOX, judge
from handraise.subscriber import Seen
from schemas.records import Activity, Assignment, RaisedHand
from tests.schemas import examples

HAND, BEN = (
    cast("Any", next(examples.load(path) for path in examples.PATHS if path.parts[-2:] == (name, file)))
    for name, file in (("RaisedHand", "call-before-the-audit.json"), ("Assignment", "to-ben.json"))
)
assert isinstance(HAND, RaisedHand)
assert isinstance(BEN, Assignment)
BEN = msgspec.structs.replace(BEN, source_offset=0)


@dataclass
class Raw:
    """What the audit looks at in a record of the log."""

    partition: int
    offset: int
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def inbox(*values: Any) -> list[Seen]:
    """The desk's inbox."""
    return [Seen(INBOX, cast("Any", Raw(0, offset)), value, "") for offset, value in enumerate(values)]


def said(*values: Assignment) -> list[Seen]:
    """What the desk said, each under an id of its own."""
    return [
        Seen(ASSIGNMENTS, cast("Any", Raw(1, offset, [("ce_id", b"desk-0-%d" % offset)])), value, "")
        for offset, value in enumerate(values)
    ]


def change(**fields: Any) -> Assignment:
    """Ben's assignment with other fields."""
    return msgspec.structs.replace(BEN, **fields)


def test_what_was_promised_and_kept_is_no_problem() -> None:
    """An owner with a due date, then an end; a repeat of the same hand asks for nothing more."""
    found = judge([*inbox(HAND, HAND), *said(BEN, change(status="contacted", due_at=None))], 2)
    assert (found.requests, found.final, found.open, found.problems) == (1, 1, 0, [])
    found = judge([*inbox(HAND), *said(change(owner=None, queue="desk", status="queued"))], 1)
    assert (found.requests, found.open, found.queued, found.problems) == (1, 1, 1, [])


def test_what_the_desk_has_not_reached_is_on_the_way() -> None:
    """A hand behind the desk's place is not lost yet; before it, it is."""
    assert (judge(inbox(HAND), 0).on_the_way, judge(inbox(HAND), 0).problems) == (1, [])
    assert (judge(inbox(HAND), 1).lost, len(judge(inbox(HAND), 1).problems)) == (1, 1)


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([change(owner=None)], "without_owner"),
        ([change(queue="desk")], "without_owner"),
        ([BEN, change(owner=None), BEN], "without_owner"),
        ([change(due_at=None)], "without_end"),
        ([change(status="won", due_at=None), change(source_offset=0)], "reopened"),
        ([BEN, change(request_id="0123456789abcdef")], "stray"),
    ],
)
def test_broken_promises(values: list[Assignment], count: str) -> None:
    """Both or neither of owner and queue, no due date, an end that was none, a request that never was: each is told."""
    found = judge([*inbox(HAND), *said(*values)], 1)
    assert (getattr(found, count), len(found.problems)) == (1, 1)


def test_what_is_said_twice_is_told() -> None:
    """Two committed records under one id are one decision, written twice."""
    twice = said(BEN, BEN)
    twice[1] = twice[1]._replace(raw=replace(cast("Any", twice[1].raw), headers=cast("Any", twice[0].raw).headers))
    assert judge([*inbox(HAND), *twice], 1).doubled == 1


def test_a_person_may_open_again_what_ended() -> None:
    """What follows an end because somebody asked for it is no broken promise."""
    again = Activity("a1", HAND.request_id, None, "ben", "reopen", "", "", "", 0, "ben")
    ended = change(status="lost", due_at=None)
    found = judge([*inbox(HAND, again), *said(ended, change(source_offset=1))], 2)
    assert (found.reopened, found.open, found.problems) == (0, 1, [])
