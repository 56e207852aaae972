"""The no-lost-hand audit: what came into the desk against what it said, by the topics and nothing else.

It shares no code with the desk and knows none of its rules.  It reads how far the desk has come, then its inbox and its
assignments to their ends; every request before that point must have its answer.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from handraise import output
from handraise.memory import memory
from handraise.settings import Settings
from handraise.subscriber import Seen, subscribe
from handraise.words import count
from schemas.records import Activity, Assignment, RaisedHand

INBOX = "desk.events"
CHANGELOG = "desk.changelog"
ASSIGNMENTS = "lead.assignments"
ANSWERED = frozenset({"contacted"})
ENDED = frozenset({"won", "lost", "spam", "expired"})
"""After these nothing may follow but what somebody asked for."""
_MOST_TOLD = 20


@dataclass
class Audit:
    """What was found; `problems` are promises that were not kept."""

    requests: int = 0
    final: int = 0
    open: int = 0
    queued: int = 0
    on_the_way: int = 0
    """In the inbox, and the desk has not come so far."""
    lost: int = 0
    without_owner: int = 0
    without_end: int = 0
    """Open, and nothing will ever remind anybody."""
    doubled: int = 0
    stray: int = 0
    """Assignments of requests that never were."""
    reopened: int = 0
    """Something happened after the end, and nobody had asked for it."""
    problems: list[str] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """For machines."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"ok": not self.problems}


async def audit(settings: Settings) -> Audit:
    """Read and judge.  Raises Failure when Kafka or a topic is not there."""
    async with memory(settings, CHANGELOG) as remembered:
        folded = await remembered.next_offset(0)
    async with subscribe(settings, [INBOX, ASSIGNMENTS], beginning=True) as subscriber:
        return judge(await subscriber.rest(), folded)


def judge(seen: list[Seen], folded: int) -> Audit:
    """What these records say of each other; `folded`: the first offset of the inbox that the desk has not folded."""
    found = Audit()
    hands: dict[str, int] = {}
    first, asked_again = folded, set[int]()
    said: dict[str, list[Assignment]] = defaultdict(list)
    ids: set[bytes] = set()
    for record in sorted(seen, key=lambda record: (record.topic, record.raw.partition, record.raw.offset)):
        offset, value = record.raw.offset, record.value
        if record.topic == INBOX:
            first = min(first, offset)
            if isinstance(value, RaisedHand):
                hands.setdefault(value.request_id, offset)
            elif isinstance(value, Activity):
                asked_again.add(offset)
        elif isinstance(value, Assignment):
            said[value.request_id].append(value)
            id = dict(record.raw.headers or ()).get("ce_id", b"")
            if not id or id in ids:
                found.doubled += 1
                found.problems.append(f"request {value.request_id}: said twice, id {id.decode()!r}")
            ids.add(id)
    for request_id, offset in hands.items():
        _request(found, request_id, offset, folded, said.get(request_id, []), asked_again)
    for request_id, assignments in said.items():
        # What waited comes from leads; what is older than the inbox reaches was judged in its time.
        if request_id not in hands and not request_id.startswith("w") and assignments[0].source_offset >= first:
            found.stray += 1
            found.problems.append(f"request {request_id}: assigned, and nobody ever asked")
    return found


def _request(
    found: Audit, request_id: str, offset: int, folded: int, said: list[Assignment], asked_again: set[int]
) -> None:
    found.requests += 1
    where = f"request {request_id}, {INBOX} offset {offset}"
    if not said:
        if offset >= folded:
            found.on_the_way += 1
        else:
            found.lost += 1
            found.problems.append(f"{where}: lost, nothing was ever decided")
        return
    for each in said:
        if (each.owner is None) == (each.queue is None):
            found.without_owner += 1
            found.problems.append(f"{where}: owner {each.owner}, queue {each.queue} at offset {each.source_offset}")
            break
    for before, after in pairwise(said):
        if before.status in ENDED and after.source_offset not in asked_again:
            found.reopened += 1
            found.problems.append(f"{where}: {before.status}, then {after.status} by itself")
            break
    last = said[-1]
    if last.status in ENDED | ANSWERED:
        found.final += 1
        return
    found.open += 1
    found.queued += last.queue is not None
    if last.due_at is None and last.next_slot_at is None:
        found.without_end += 1
        found.problems.append(f"{where}: {last.status}, without a due date")


def show(found: Audit) -> None:
    """In words."""
    for problem in found.problems[:_MOST_TOLD]:
        output.say(problem, "bad")
    if len(found.problems) > _MOST_TOLD:
        output.say(f"and {len(found.problems) - _MOST_TOLD} more", "bad")
    parts = f"{found.final} answered or ended, {found.open} open ({found.queued} in a queue)"
    way = f", {found.on_the_way} on the way" if found.on_the_way else ""
    verdict = f"{count(len(found.problems), 'problem')}" if found.problems else "none lost, each has one owner or queue"
    output.say(f"{count(found.requests, 'request')}: {parts}{way}; {verdict}", "bad" if found.problems else "good")
