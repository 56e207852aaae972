"""People who share a computer and an address, and people whom somebody merges and takes apart again: a seeded story.

Whose an event on a shared computer is depends on when its sign-ins are read, so the truth knows of these only that
each is in one lead, once; the oracle knows the rest.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from schemas.codec import encode
from schemas.records import Merge, Unmerge
from streams.links import order
from tests.e2e.story import Act, engagement, ids, key

KINDS = ("page_view", "download", "form_submit", "trial_start", "search", "demo_request")
BY = "chaos"


class Said(NamedTuple):
    """A record for the inbox, when it comes, and the id of its event; None for a wish."""

    arrives_ms: int
    key: bytes
    value: bytes
    event_id: bytes | None


class _Family:
    """Three people with a computer of their own each, and one for all."""

    def __init__(self, seed: int, number: int, start_ms: int, end_ms: int, acts: int) -> None:
        self.name = f"family {seed}-{number}"
        self.chance = random.Random(self.name)
        self.people = [f"{self.name}, {who}" for who in ("ana", "ben", "eva")]
        self.times = sorted(self.chance.sample(range(start_ms, end_ms), acts))
        self.shares = number % 2 == 0
        """They share a computer and an address; else they are merged and parted."""
        self.said = 0

    def act(self, at_ms: int, person: str | None, device: str) -> Said:
        """Something that one of them did; None: without a sign-in."""
        self.said += 1
        kind = self.chance.choice(KINDS)
        email = self.name if self.shares else person
        email = f"{email}@c.example".replace(", ", ".").replace(" ", "-") if person is not None else None
        asset = f"/{self.chance.choice('abc')}"
        one = Act(at_ms, self.name, self.said, at_ms, kind, asset, person, email, device, False, {})
        record = engagement(one)
        return Said(at_ms, key(one), encode(record), record.event_id)

    def wish(self, at_ms: int) -> Said:
        """Two of them are said to be one, or one of them to be somebody else after all."""
        one, other = (ids(person, None, "")[0] for person in self.chance.sample(self.people, 2))
        weak, strong = sorted((one, other), key=order)[::-1]
        if self.chance.random() < 0.5:
            return Said(at_ms, weak.encode(), encode(Merge(other=strong, at=at_ms, by=BY)), None)
        return Said(at_ms, weak.encode(), encode(Unmerge(at=at_ms, by=BY)), None)

    def story(self) -> Iterator[Said]:
        """All that is said of them, in order of time."""
        for at_ms in self.times:
            who = self.chance.randrange(len(self.people))
            person = self.people[who]
            device = f"{self.name}, computer" if self.shares else f"{person}, computer"
            what = self.chance.random()
            if not self.shares and what < 0.3:
                yield self.wish(at_ms)
            else:
                yield self.act(at_ms, person if what < 0.6 else None, device)


def families(seed: int, count: int, start_ms: int, end_ms: int, acts: int) -> list[Said]:
    """So many families, each with so many acts and wishes, by time."""
    every = [said for n in range(count) for said in _Family(seed, n, start_ms, end_ms, acts).story()]
    return sorted(every, key=lambda said: (said.arrives_ms, said.key, said.value))
