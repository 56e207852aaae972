"""`handraise desk`: who has which request, and what people do about it.

What somebody says is a record of the desk's inbox.  Whoever says it waits until the desk has folded it, and reads what
came of it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec

from handraise import output, words
from handraise.clock import now_ms
from handraise.failure import CHECK_FAILED, Failure
from handraise.memory import Memory, memory
from handraise.settings import Settings
from handraise.subscriber import subscribe
from handraise.writer import writer
from schemas.codec import encode
from schemas.records import Activity, Assignment, Notice, Presence
from schemas.topics import physical
from streams.links import ID

INBOX = "desk.events"
CHANGELOG = "desk.changelog"
ASSIGNMENTS = "lead.assignments"
NOTICES = "desk.notices"
PATIENCE_S = 30.0
"""Longer than another worker needs to take over from one that was killed."""
OVER = frozenset({"contacted", "won", "lost", "spam", "expired"})


class Outcome(NamedTuple):
    """What came of something that was said."""

    assignments: list[Assignment]
    notices: list[Notice]


async def requests(settings: Settings, *, everything: bool) -> list[Assignment]:
    """The last word on each request, the most urgent first; open ones alone unless `everything`.  Raises Failure."""
    last: dict[str, Assignment] = {}
    async with subscribe(settings, [ASSIGNMENTS], beginning=True) as subscriber:
        for seen in await subscriber.rest():
            if isinstance(seen.value, Assignment):
                last[seen.value.request_id] = seen.value
    found = [each for each in last.values() if everything or each.status not in OVER]
    return sorted(found, key=lambda each: (each.due_at is None, each.due_at or 0, each.request_id))


async def latest(settings: Settings, ids: Collection[str]) -> Assignment | None:
    """The last word on what a lead with these ids has asked, open requests first; None without any.  Raises Failure."""
    found = [each for each in await requests(settings, everything=True) if each.lead_id in ids]
    return max(found, key=lambda each: (each.status not in OVER, each.decided_at), default=None)


async def act(
    settings: Settings, kind: str, about: str, rep: str, *, reason: str, note: str, channel: str, by: str
) -> Outcome:
    """Say what `rep` did about a request, or about a lead by its id.  Raises Failure."""
    is_lead = bool(ID.fullmatch(about))
    activity = Activity(
        activity_id=uuid.uuid4().hex,
        request_id=None if is_lead else about,
        lead_id=about if is_lead else None,
        rep=rep,
        kind=kind,
        reason=reason,
        note=note,
        channel=channel,
        at=now_ms(),
        by=by,
    )
    return await _say(settings, activity)


async def be(settings: Settings, rep: str, state: str, until: int | None, by: str) -> Outcome:
    """Say that `rep` can be given work now, or cannot; `until` in ms.  Raises Failure."""
    return await _say(settings, Presence(rep=rep, state=state, until=until, at=now_ms(), by=by))


async def _say(settings: Settings, record: Activity | Presence) -> Outcome:
    async with (
        memory(settings, CHANGELOG) as remembered,
        subscribe(settings, [ASSIGNMENTS, NOTICES], beginning=False) as answers,
        writer(settings, "handraise-desk") as producer,
    ):
        told = await producer.send_and_wait(physical(INBOX, settings.prefix), encode(record), partition=0)
        await folded(settings, remembered, told.offset)
        values = [seen.value for seen in await answers.rest()]
    assignments = [each for each in values if isinstance(each, Assignment) and each.source_offset == told.offset]
    about = record.request_id if isinstance(record, Activity) else None
    notices = [
        each for each in values if isinstance(each, Notice) and each.to == record.rep and each.request_id == about
    ]
    return Outcome(assignments, notices)


async def folded(settings: Settings, remembered: Memory, offset: int) -> None:
    """Wait until the desk has folded a record of its inbox; `remembered`: its memory.  Raises Failure."""
    deadline = time.monotonic() + PATIENCE_S
    while await remembered.next_offset(0) <= offset:
        if time.monotonic() > deadline:
            raise Failure(
                f"no worker has taken it within {PATIENCE_S:g} s",
                f"{INBOX}, offset {offset} on {settings.kafka}",
                "start one (`handraise worker desk`): what you said waits there, and is not to be said again",
                CHECK_FAILED,
            )
        await remembered.wait(0)


def as_data(found: list[Assignment]) -> list[dict[str, Any]]:
    """For machines: the records' own fields."""
    return [msgspec.to_builtins(each) for each in found]


def outcome_as_data(outcome: Outcome) -> dict[str, Any]:
    """For machines."""
    return {
        "assignments": as_data(outcome.assignments),
        "notices": [msgspec.to_builtins(each) for each in outcome.notices],
    }


def show(found: list[Assignment]) -> None:
    """In words, a request a row."""
    rows = [
        (
            each.request_id,
            each.owner or f"queue {each.queue}",
            each.status,
            "" if each.due_at is None else words.when(each.due_at // 1_000),
            each.follow_up_class,
            each.trace[-1] if each.trace else "",
        )
        for each in found
    ]
    if not rows:
        output.say("nobody waits", "good")
        return
    columns = [("request", "left"), ("who", "left"), ("status", "left"), ("due, UTC", "left"), ("class", "left")]
    output.show(output.table([*columns, ("why", "left")], rows))


def show_outcome(outcome: Outcome) -> None:
    """In words."""
    for assignment in outcome.assignments:
        output.say(words.record(assignment))
    for notice in outcome.notices:
        output.say(words.record(notice))
    if not outcome.assignments and not outcome.notices:
        output.say("taken down; no request changed hands")
