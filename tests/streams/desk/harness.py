"""What the laws of the desk share: a fold as a black box, and short ways to say what happened."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from handraise.zones import zone
from schemas.codec import decode, encode
from schemas.records import Activity, Assignment, Notice, Presence, RaisedHand, Record, Tick, Waited, Waiting
from streams.desk import rules as desk_rules
from streams.desk.fold import DeskFold
from streams.desk.rules import DeskRules
from streams.fold import Output
from streams.identity import lead_id
from tests.oracle.replay import Record as LogRecord

RULES = Path(__file__).resolve().parents[3] / "rules"
SHIPPED = {name: (RULES / name).read_text() for name in desk_rules.FILES}
SMALL = {**SHIPPED, "roster.toml": (Path(__file__).parent / "small_roster.toml").read_text()}
"""Four people of one pool who work long hours in three zones."""
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
R = TypeVar("R")


def ms(text: str) -> int:
    """`2026-11-23 10:00` (UTC) as ms since the epoch."""
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * 1_000


MONDAY = ms("2026-11-23 10:00")
"""A Monday on which everybody of the shipped roster works, but who is on leave."""


@functools.cache
def loaded(files: tuple[tuple[str, str], ...]) -> DeskRules:
    """These rules, compiled once."""
    return desk_rules.load(dict(files), zone)


def lead(name: str) -> str:
    """The lead id of `u:jonas`."""
    kind, _, value = name.partition(":")
    return lead_id(kind, value, b"secret")  # type: ignore[arg-type]


def hand(number: int, who: str = "", at: int = MONDAY, **changes: object) -> RaisedHand:
    """A raised hand."""
    who = who or f"u:visitor {number}"
    values: dict[str, object] = {
        "request_id": f"{number:016x}",
        "lead_id": lead(who),
        "identifiers": (lead(who),),
        "requested_at": at,
        "received_at": at,
        "topic": "sales",
        "country": "DK",
        "language": "en",
        "email": "jonas@brightwater.example",
        "phone": None,
        "name": "Jonas Vik",
        "company": "Brightwater Pharma",
        "message": "call me before Thursday's audit",
        "verdict": "human",
        "verdict_reasons": (),
        "preferred_channel": "",
        "call_after": None,
        "owner": None,
        "score_millipoints": None,
        "account": None,
        "engagement": b"",
    }
    return RaisedHand(**{**values, **changes})  # type: ignore[arg-type]


def waited(offset: int, who: str, reason: str = "hot", at: int = MONDAY, partition: int = 0) -> Waited:
    """A lead that qualified or got hot."""
    waiting = Waiting(lead(who), reason, at, 61_000, 1, "DK", f"{who}@x.example", ("read a paper",), partition, offset)
    return Waited(partition, offset, encode(waiting))


def did(number: int, rep: str, kind: str, request: int, at: int = MONDAY) -> Activity:
    """What a person did about a request."""
    reason = {"decline": "no_time", "lost": "price"}.get(kind, "")
    return Activity(f"a{number}", f"{request:016x}", None, rep, kind, reason, "", "", at, rep)


def here(rep: str, state: str, until: int | None = None, at: int = MONDAY) -> Presence:
    """What a person said of their presence."""
    return Presence(rep, state, until, at, rep)


def ticks(start: int, end: int, step: int = 1_000) -> list[tuple[int, Record]]:
    """A tick a second (or `step` ms)."""
    return [(at, Tick(at)) for at in range(start, end, step)]


def log_of(story: Iterable[tuple[int, Record]], first: int = 0) -> list[LogRecord]:
    """The story, (when it was appended, what), as an inbox."""
    return [LogRecord(first + n, at, None, encode(it)) for n, (at, it) in enumerate(story)]


@dataclass(repr=False)
class Box:
    """A desk, and all that it said."""

    files: dict[str, str] = field(default_factory=lambda: SHIPPED)
    states: dict[bytes, bytes] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    changelog: dict[bytes, bytes] = field(default_factory=dict)
    now: int = MONDAY
    offset: int = 0

    def __post_init__(self) -> None:
        self.rules = loaded(tuple(self.files.items()))
        self.fold = DeskFold(0, self.states, self.rules, 4)

    def feed(self, log: Sequence[LogRecord], cuts: Iterable[int] = ()) -> Box:
        """Fold the records, sealing a batch before each of the places named by `cuts`, and at the end."""
        places = [0, *sorted({cut for cut in cuts if 0 < cut < len(log)}), len(log)]
        for start, end in itertools.pairwise(places):
            while start < end:  # a batch may be full before
                consumed = self.fold.apply(log[start:end])
                assert consumed > 0, self.fold.ready()
                start += consumed
                self.seal()
        return self

    def seal(self) -> None:
        """Close the batch."""
        sealed = self.fold.seal()
        for key, value in sealed.changes.items():
            if value is None:
                self.changelog.pop(key, None)
            else:
                self.changelog[key] = value
        assert self.changelog == self.states
        self.outputs += sealed.outputs

    def restart(self) -> Box:
        """Drop the fold and build it anew from the changelog alone."""
        self.states = dict(self.changelog)
        self.fold = DeskFold(0, self.states, self.rules, 4)
        return self

    def get(self, *records: Record, at: int | None = None) -> Box:
        """These records, appended at `at` or now."""
        if at is not None:
            self.now = at
        log = log_of([(self.now, record) for record in records], self.offset)
        self.offset += len(log)
        return self.feed(log)

    def wait(self, ms: int, step: int = 5_000) -> Box:
        """Time passes, with ticks."""
        times = [*range(self.now, self.now + ms, step), self.now + ms]
        log = log_of([(at, Tick(at)) for at in times], self.offset)
        self.offset += len(log)
        self.now += ms
        return self.feed(log)

    def said(self, record: type[R]) -> list[R]:
        """All records of that type that were published, in order."""
        found = (decode(output.value) for output in self.outputs if output.value is not None)
        return [it for it in found if isinstance(it, record)]

    def last(self, number: int | str) -> Assignment:
        """The last word on a request."""
        wanted = f"{number:016x}" if isinstance(number, int) else number
        return [it for it in self.said(Assignment) if it.request_id == wanted][-1]

    def notices(self, kind: str, to: str | None = None) -> list[Notice]:
        """The notices of a kind, to somebody."""
        return [it for it in self.said(Notice) if it.kind == kind and to in (None, it.to)]
