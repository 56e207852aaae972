"""What the laws of the lead fold share: a fold as a black box, short ways to say what happened, and the comparison."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from schemas.codec import decode, encode
from schemas.records import Engagement, LeadAlert, LeadState, LeadTransition, Promote, Quarantined, Rejected, Tick
from streams import explain as explaining
from streams.fold import Output
from streams.identity import event_id, lead_id
from streams.rules import Rules, load
from streams.ruleset import record_files, version_of
from streams.state import Lead
from streams.state import decode as decode_state
from tests.oracle.compare import compare_alert, compare_state
from tests.oracle.naive import DAY_S, Event, Model
from tests.oracle.replay import Partition, Record, Told, words
from tests.streams.twin import TwinFold

RULES = Path(__file__).resolve().parents[2] / "rules"
SHIPPED = {name: (RULES / name).read_text() for name in ("model.toml", "alerts.toml")}
SMALL = {"model.toml": (Path(__file__).parent / "small_model.toml").read_text(), "alerts.toml": SHIPPED["alerts.toml"]}
"""Few rules and low limits, so that every sort of limit bites in a short story."""
MONDAY = 20_766 * DAY_S
"""Monday, 9 November 2026, 00:00 UTC."""
PARTITIONS = 1
R = TypeVar("R")


@dataclass(frozen=True)
class Did:
    """Something that a lead did; two with the same lead and name are the same event."""

    at_s: int
    kind: str = "page_view"
    asset: str = "/"
    lead: str = "u:ana"
    name: str = ""
    mail: bool = False
    verdict: str = "human"
    properties: tuple[tuple[str, Any], ...] = ()

    def event(self) -> Event:
        """The event as the oracle takes it."""
        mail = "a@b.example" if self.mail else None
        return Event(self.id(), self.at_s, self.kind, self.asset, dict(self.properties), mail, self.verdict)

    def id(self) -> bytes:
        """The event's id."""
        parts = (self.at_s, self.kind, self.asset, self.properties)
        return event_id("laws", f"{self.lead} {self.name or parts}")


@dataclass(frozen=True)
class Time:
    """A tick."""

    at_s: int


@dataclass(frozen=True)
class Promoted:
    """Rules that are in force from here on: all files of a set."""

    files: tuple[tuple[str, str], ...]

    def record(self) -> Promote:
        """The record that says so."""
        files = dict(self.files)
        return Promote(version_of(files), record_files(files), MONDAY * 1000, "ana")


def key_of(lead: str) -> bytes:
    """The lead id of `kind:value`."""
    kind, _, value = lead.partition(":")
    assert kind in ("u", "e", "a")
    return lead_id(kind, value, b"secret").encode()  # type: ignore[arg-type]


def value_of(did: Did | Time | Promoted) -> bytes:
    """The record's value."""
    if isinstance(did, Promoted):
        return encode(did.record())
    if isinstance(did, Time):
        return encode(Tick(at=did.at_s * 1000))
    return encode(
        Engagement(
            event_id=did.id(),
            occurred_at=did.at_s * 1000,
            kind=did.kind,
            asset=did.asset,
            title=did.asset.strip("/").capitalize(),
            verdict=did.verdict,
            email="a@b.example" if did.mail else None,
            identifiers=(),
            source="laws",
            message_id=did.name,
            call="track",
            event="",
            received_at=did.at_s * 1000,
            properties=json.dumps(dict(did.properties)),
        )
    )


def records(
    story: Iterable[Did | Time | Promoted], first_offset: int = 0, appended_s: int = MONDAY + 400 * DAY_S
) -> list[Record]:
    """The story as an inbox; with holes in the offsets, as control records and compaction leave them."""
    return [
        Record(first_offset + 2 * n, appended_s * 1000, key_of(it.lead) if isinstance(it, Did) else None, value_of(it))
        for n, it in enumerate(story)
    ]


@functools.cache
def _loaded(files: tuple[tuple[str, str], ...]) -> Rules:
    return load(dict(files))


@dataclass(repr=False)
class Box:
    """A fold over one partition, and all that it said."""

    files: dict[str, str] = field(default_factory=lambda: SHIPPED)
    states: dict[bytes, bytes] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    changelog: dict[bytes, bytes] = field(default_factory=dict)
    """What recovery would read: every change that was sealed, applied."""

    def __post_init__(self) -> None:
        self.rules = _loaded(tuple(self.files.items()))
        self.fold = TwinFold(0, self.states, self.rules, PARTITIONS)

    def feed(self, log: Sequence[Record], cuts: Iterable[int] = ()) -> Box:
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
        """Close the batch: its changes to the changelog, its outputs to what was said."""
        sealed = self.fold.seal()
        for key, value in sealed.changes.items():
            if value is None:
                self.changelog.pop(key, None)
            else:
                self.changelog[key] = value
        self.outputs += sealed.outputs

    def restart(self) -> None:
        """Drop the fold and build it anew from the changelog alone."""
        self.states = dict(self.changelog)
        self.fold = TwinFold(0, self.states, self.rules, PARTITIONS)

    def said(self, record: type[R]) -> list[R]:
        """All records of that type that were published, in order."""
        found = (decode(output.value) for output in self.outputs if output.value is not None)
        return [it for it in found if isinstance(it, record)]

    def bytes_said(self, *topics: str) -> list[Output]:
        """All that was published there, to the byte."""
        return [output for output in self.outputs if output.topic in topics]

    def last_states(self) -> dict[bytes, LeadState | None]:
        """The last word of lead.state on each lead; None is a tombstone."""
        last: dict[bytes, LeadState | None] = {}
        for output in self.outputs:
            if output.topic == "lead.state" and output.key is not None:
                state = None if output.value is None else decode(output.value)
                assert state is None or isinstance(state, LeadState)
                last[output.key] = state
        return last

    def lead(self, lead: str = "u:ana") -> Lead:
        """The state that the changelog holds."""
        state = decode_state(self.changelog[key_of(lead)])
        assert isinstance(state, Lead)
        return state

    def explain(self, at_s: int, lead: str = "u:ana") -> explaining.Explanation:
        """The ledger of points."""
        return explaining.explain(self.lead(lead), self.fold.rules, at_s)

    def score(self, at_s: int, lead: str = "u:ana") -> int:
        """The score in milli-points."""
        return self.explain(at_s, lead).score_millipoints


def naive(files: dict[str, str]) -> Model:
    """The oracle's reading of the rules."""
    return Model(files["model.toml"], files["alerts.toml"])


def compare(box: Box, log: Sequence[Record]) -> None:
    """Assert that the box said all that the oracle makes of the records, and nothing else."""
    expected = Partition(naive(box.files), words(box.said(LeadTransition))).tell(log)
    _compare_transitions(box, expected)
    _compare_alerts(box, expected)
    quarantined = [(it.source_offset, it.lead_id, it.verdict) for it in box.said(Quarantined)]
    assert quarantined == expected.quarantined
    rejected = [(it.offset, it.code) for it in box.said(Rejected)]
    assert rejected == [(offset, "from_the_future") for offset in expected.from_the_future]
    last = box.last_states()
    gone = {lead_id for _, lead_id in expected.expired} - set(expected.leads)
    assert {key.decode() for key, state in last.items() if state is None} == gone
    assert {key.decode() for key, state in last.items() if state is not None} == set(expected.leads)
    model = naive(box.files)
    for lead in expected.leads.values():
        state = last[lead.lead_id.encode()]
        assert state is not None
        compare_state(state, lead, lead.judged_by or model)


def _compare_transitions(box: Box, expected: Told) -> None:
    said = sorted(box.said(LeadTransition), key=lambda it: (it.source_offset, it.lead_id, it.aspect, it.before))
    wanted = sorted(expected.changes, key=lambda it: (it.offset, it.lead_id, it.aspect, it.before))
    ours = [
        (it.source_offset, it.lead_id, it.aspect, it.before, it.after, it.at // 1000, it.cause_event) for it in said
    ]
    theirs = [(it.offset, it.lead_id, it.aspect, it.before, it.after, it.at_s, it.cause) for it in wanted]
    assert set(ours) ^ set(theirs) == set()
    assert ours == theirs
    for one, other in zip(said, wanted, strict=True):
        assert abs(one.behaviour_millipoints - other.millipoints) <= 1, (one, other)


def _compare_alerts(box: Box, expected: Told) -> None:
    said = box.said(LeadAlert)
    assert [(it.source_offset, it.lead_id, it.at // 1000, it.cause_event) for it in said] == [
        (it.offset, it.lead_id, it.at_s, it.cause) for it in expected.alarms
    ]
    assert len({it.alert_id for it in said}) == len(said)
    for one, other in zip(said, expected.alarms, strict=True):
        compare_alert(one, other, naive(box.files))
