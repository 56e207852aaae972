"""A record falsified in every way that one can think of, and where in it there is something to falsify."""

from __future__ import annotations

import random
from dataclasses import replace

from agents.lane.cursor import CURSOR_KEY, decode_cursor
from streams.desk.publish import PUBLISHED
from tests.handraise.replay.copies import Change, Copy, Place, Stored


def flipped(value: bytes | None) -> bytes:
    """The same with its last bit turned."""
    return b"?" if not value else value[:-1] + bytes([value[-1] ^ 1])


KINDS: dict[str, Change] = {
    "missing": lambda it: [],
    "doubled": lambda it: [it, it],
    "another value": lambda it: [replace(it, value=flipped(it.value))],
    "another key": lambda it: [replace(it, key=flipped(it.key))],
    "no value": lambda it: [replace(it, value=None if it.value else b"x")],
    "another id": lambda it: [replace(it, headers=[(n, flipped(v) if n == "ce_id" else v) for n, v in it.headers])],
    "another time": lambda it: [replace(it, headers=[(n, flipped(v) if n == "ce_time" else v) for n, v in it.headers])],
}

OF_DESK = ("lead.assignments", "desk.notices", PUBLISHED)


def somewhere(copy: Copy, topic: str, chance: random.Random) -> tuple[Place, Stored]:
    """Some record that a fold wrote there, with a value."""
    records = [
        (place, it)
        for place in copy.chunks
        if place[0] == topic
        for it in copy.records(place)
        if it.value is not None and is_of(place, it)
    ]
    return chance.choice(records)


def is_of(place: Place, record: Stored) -> bool:
    """Whether the fold that is asked about wrote it."""
    return (("ce_source", b"/handraise/desk") in record.headers) == (place[0] in OF_DESK)


def longest(copy: Copy, topic: str) -> tuple[Place, list[Stored]]:
    """The partition of a topic in which its fold wrote most, and what that is."""
    found = {
        place: [it for it in copy.records(place) if is_of(place, it)] for place in copy.chunks if place[0] == topic
    }
    place = max(found, key=lambda each: len(found[each]))
    return place, found[place]


def fold_of(place: Place) -> str:
    """Who writes there."""
    return "desk-0" if place[0] in OF_DESK else f"leads-{place[1]}"


def mail(copy: Copy) -> tuple[Place, list[Stored]]:
    """An inbox, and the mail in it."""
    for place, chunks in copy.chunks.items():
        letters = [record for chunk in chunks if chunk.transactional for record in chunk.records]
        if place[0] == "lead.events" and letters:
            return place, letters  # type: ignore[return-value]
    raise AssertionError("there is no mail")


def replaced(copy: Copy, topic: str) -> tuple[Place, Stored, Stored]:
    """A record of a fold that one of its key replaces in another transaction, and the last one of that key: a value."""
    for place in copy.chunks:
        if place[0] == topic:
            batches, records = 0, list[tuple[int, Stored]]()
            for chunk in copy.chunks[place]:
                batches += chunk.ends
                records += [(batches, it) for it in chunk.records if is_of(place, it)]  # type: ignore[misc]
            last = {record.key: (batch, record) for batch, record in records}
            for batch, record in records:
                following = [n for n, it in records if it.key == record.key and it.offset > record.offset]
                if following and following[0] > batch and last[record.key][1].value is not None:
                    return place, record, last[record.key][1]
    raise AssertionError(f"nothing on {topic} was replaced")


def behind(copy: Copy) -> int:
    """Records of the inboxes that nobody had folded when the workers were stopped."""
    found = 0
    for inbox, changelog in (("lead.events", "leads.changelog"), ("desk.events", "desk.changelog")):
        for topic, partition in copy.chunks:
            if topic == changelog:
                cursors = [it.value for it in copy.records((topic, partition)) if it.key == CURSOR_KEY]
                end = decode_cursor(cursors[-1]).next_offset
                found += sum(it.offset >= end for it in copy.records((inbox, partition)))
    return found
