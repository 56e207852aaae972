"""What must hold at the desk: no hand lost, one owner or queue for each, each said once, and each event scored once.

The audit that `handraise audit` makes is asked too; it knows none of the desk's rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from agents.lane.cursor import CURSOR_KEY, decode_cursor
from handraise import audit
from handraise.subscriber import Seen
from schemas.codec import decode
from schemas.records import Assignment, Engagement, RaisedHand, Waited
from schemas.wire import Undecodable
from tests.simulation.plan import Raise
from tests.simulation.processes import PARTITIONS
from tests.simulation.world import World, request_of

INBOX = "desk.events"
BIRTHS = ("raised_hand", "hot", "mql")
"""The causes of an assignment that only a new request has."""


def judge(world: World) -> Iterator[str]:
    """All that is wrong, in words."""
    seen = list(_seen(world))
    cursors = [it.value for it in world.committed("desk.changelog", 0) if it.key == CURSOR_KEY]
    folded = decode_cursor(cursors[-1]).next_offset if cursors else 0
    found = audit.judge(seen, folded)
    yield from found.problems
    if found.on_the_way:
        yield f"{found.on_the_way} hands were never decided"
    yield from _hands(world, seen)
    yield from _waiting(world, seen)
    yield from _births(seen)


def _seen(world: World) -> Iterator[Seen]:
    for record in world.committed(INBOX, 0):
        try:
            yield Seen(INBOX, _Raw(0, record), decode(record.value or b""), "")  # type: ignore[arg-type]
        except Undecodable as error:
            yield Seen(INBOX, _Raw(0, record), None, str(error))  # type: ignore[arg-type]
    for partition in range(PARTITIONS):
        for record in world.committed("lead.assignments", partition):
            raw = _Raw(partition, record)
            yield Seen("lead.assignments", raw, decode(record.value or b""), "")  # type: ignore[arg-type]


class _Raw:
    """A record as a consumer gives it."""

    def __init__(self, partition: int, record: object) -> None:
        self.partition = partition
        self.offset: int = record.offset  # type: ignore[attr-defined]
        self.headers: list[tuple[str, bytes]] = record.headers  # type: ignore[attr-defined]


def _hands(world: World, seen: list[Seen]) -> Iterator[str]:
    """A hand that was answered for is in the desk's inbox, and its event comes to its lead once, from the desk.

    That of a suspect comes as one, to be filtered; and as a human's, if somebody has released it.
    """
    asked = {it.value.request_id for it in seen if isinstance(it.value, RaisedHand)}
    first = {request_of(it.act): it for it in reversed(world.answered) if isinstance(it, Raise)}
    for request in first:
        if request not in asked:
            yield f"the hand {request} was answered for, and is not in the desk's inbox"
    came: Counter[tuple[str, str]] = Counter()
    for partition in range(PARTITIONS):
        for record in world.committed("lead.events", partition):
            body = decode(record.value or b"") if ("lead.events", partition, record.offset) not in world.poison else 0
            if isinstance(body, Engagement) and record.key == body.identifiers[0].encode():
                came[body.event_id.hex(), body.verdict] += 1
    for request, step in first.items():
        human, suspect = came[request, "human"], came[request, "suspect"]
        right = (human, suspect) == (1, 0) if step.verdict == "human" else human <= 1 and suspect == 1
        if not right:
            yield f"the event of the hand {request} came to its lead {human} times, as a suspect {suspect} times"


def _waiting(world: World, seen: list[Seen]) -> Iterator[str]:
    """What waits for the desk first appears in its inbox in order and without a gap."""
    last: dict[int, int] = {}
    for it in seen:
        if isinstance(it.value, Waited):
            waited = it.value
            wanted = [each.offset for each in world.committed("desk.waiting", waited.partition)]
            if waited.offset > last.get(waited.partition, -1):
                following = [each for each in wanted if each > last.get(waited.partition, -1)]
                if following[:1] != [waited.offset]:
                    yield f"desk.waiting/{waited.partition}: {following[:1]} was left out before {waited.offset}"
                last[waited.partition] = waited.offset
    for partition in range(PARTITIONS):
        rest = [it.offset for it in world.committed("desk.waiting", partition) if it.offset > last.get(partition, -1)]
        if rest:
            yield f"desk.waiting/{partition}: {rest} never came to the desk"


def _births(seen: list[Seen]) -> Iterator[str]:
    """A request is born once: what comes again decides nothing new."""
    had: set[object] = set()
    again: set[int] = set()
    for it in seen:
        value = it.value
        name = value.request_id if isinstance(value, RaisedHand) else None
        if isinstance(value, Waited):
            name = (value.partition, value.offset)  # type: ignore[assignment]
        if name is not None:
            if name in had:
                again.add(it.raw.offset)
            had.add(name)
    for it in seen:
        if isinstance(it.value, Assignment) and it.value.source_offset in again and it.value.cause in BIRTHS:
            yield f"request {it.value.request_id} was decided again, because it came again at {it.value.source_offset}"
