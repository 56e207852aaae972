"""A simulated network: four lead folds that write to each other, and any order of things that Kafka allows.

A partition's log keeps its order, what a batch sends becomes visible as a whole, and nothing else is promised: how
many records a fold takes next, where its batches end, which of them are lost with their worker and folded again, how
the mail of batches that end together is mixed.  All of that is drawn from one random number generator.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from schemas.codec import decode, encode
from schemas.keys import partition_of
from schemas.records import Engagement, Merge, Tick, Unmerge
from streams import state
from streams.explain import explain
from streams.fold import Output
from streams.identity import event_id, lead_id
from streams.lead_fold import CLOCK
from streams.rules import load
from streams.state import Lead, Match, Moved, State
from tests.oracle.naive import DAY_S
from tests.oracle.replay import Record
from tests.streams.harness import MONDAY, SHIPPED, Time
from tests.streams.twin import TwinFold

PARTITIONS = 4
INBOX = "lead.events"
APPENDED_S = MONDAY + 400 * DAY_S
R = TypeVar("R")


def id_of(name: str) -> str:
    """The lead id of `kind:value`, such as `u:ana`; for evidence, what stands for its keyed hash."""
    kind, _, value = name.partition(":")
    if kind == "m":
        return "m" + id_of(f"e:{value}")[1:]
    if kind in "pn":
        return kind + id_of(f"u:{name}")[1:]
    return lead_id(kind, value, b"secret")  # type: ignore[arg-type]


@dataclass(frozen=True)
class Act:
    """Something that a visitor did, with all the identifiers that the tracker told; acts of one name are one event."""

    at_s: int
    kind: str = "page_view"
    asset: str = "/"
    user: str = ""
    email: str = ""
    device: str = ""
    name: str = ""
    verdict: str = "human"
    alias: str = ""
    """A call `alias` with this previousId."""
    spelling: str = ""
    """The form of the e-mail address by which its other spellings are known, if it is another spelling."""
    phone: str = ""
    person: str = ""
    """Name and company."""
    properties: tuple[tuple[str, Any], ...] = ()

    def ids(self) -> tuple[str, ...]:
        """The ids of its identifiers, strongest first, and then its evidence."""
        names = [("u", self.user), ("e", self.email), ("a", self.device)]
        evidence = [("m", self.spelling), ("p", self.phone), ("n", self.person)]
        return tuple(id_of(f"{kind}:{value}") for kind, value in names + evidence if value)

    def id(self) -> bytes:
        """The event's id."""
        return event_id("laws", self.name or str(self))


@dataclass(frozen=True)
class Wish:
    """Somebody wants two leads to be one (`other` given), or an absorbed one to be itself again."""

    lead: str
    """As `kind:value`."""
    other: str = ""
    at_s: int = MONDAY


Step = Act | Wish | Time
Story = Sequence[Step]


def value_of(step: Step) -> bytes:
    """The record's value."""
    if isinstance(step, Time):
        return encode(Tick(at=step.at_s * 1000))
    if isinstance(step, Wish):
        at = step.at_s * 1000
        return encode(Merge(id_of(step.other), at, "laws") if step.other else Unmerge(at, "laws"))
    return encode(engagement_of(step))


def engagement_of(act: Act) -> Engagement:
    """The act as the gateway would stamp it."""
    return Engagement(
        event_id=act.id(),
        occurred_at=act.at_s * 1000,
        kind=act.kind,
        asset=act.asset,
        title=act.asset.strip("/").capitalize(),
        verdict=act.verdict,
        email=act.email or None,
        identifiers=act.ids(),
        source="laws",
        message_id=act.name,
        call="alias" if act.alias else "track",
        event="",
        received_at=act.at_s * 1000,
        user_id=act.user or None,
        anonymous_id=act.device or None,
        phone=act.phone or None,
        properties=json.dumps(dict(act.properties)),
        aliases=tuple(id_of(f"{kind}:{act.alias}") for kind in "ua") if act.alias else (),
    )


def key_of(step: Act | Wish) -> bytes:
    """The key under which it is written."""
    return (id_of(step.lead) if isinstance(step, Wish) else step.ids()[0]).encode()


class Network:
    """Folds, their logs, and all that was said."""

    def __init__(self, seed: int = 0, files: dict[str, str] = SHIPPED, partitions: int = PARTITIONS) -> None:
        self.chance, self.rules, self.partitions = Random(seed), load(files), partitions
        self.logs: list[list[Record]] = [[] for _ in range(partitions)]
        self.outside: list[tuple[int, int]] = []
        """Partition and offset of each record that no fold wrote."""
        self.cuts: list[list[int]] = [[] for _ in range(partitions)]
        """Where batches ended, as places in each log."""
        self.outputs: list[list[Output]] = [[] for _ in range(partitions)]
        self.changelogs: list[dict[bytes, bytes]] = [{} for _ in range(partitions)]
        self.mails = 0
        self._read = [0] * partitions
        self._folds = [self._fold(partition) for partition in range(partitions)]

    def _fold(self, partition: int) -> TwinFold:
        return TwinFold(partition, dict(self.changelogs[partition]), self.rules, self.partitions)

    def take_over(self, changelogs: list[dict[bytes, bytes]], read: list[int]) -> None:
        """Go on with these states, from these places in the logs, as whoever else left them."""
        self.changelogs, self._read = changelogs, read
        self._folds = [self._fold(partition) for partition in range(self.partitions)]

    # -- what happens

    def say(self, *story: Step) -> Network:
        """Append what comes from outside, each to the partition of its key; a tick to all."""
        for step in story:
            value = value_of(step)
            if isinstance(step, Time):
                for partition in range(self.partitions):
                    self._append(partition, None, value, outside=True)
            else:
                key = key_of(step)
                self._append(partition_of(key, self.partitions), key, value, outside=True)
        return self

    def write(self, key: bytes, value: bytes) -> Network:
        """Append a record of any contents."""
        self._append(partition_of(key, self.partitions), key, value, outside=True)
        return self

    def tell(self, *story: Step) -> Network:
        """Say it one after the other, and let all become quiet after each."""
        for step in story:
            self.say(step).settle()
        return self

    def run(self, story: Story) -> Network:
        """Say the story piece by piece while the folds run at any speed, and let all become quiet."""
        rest = list(story)
        hurry = self.chance.choice([0.05, 0.5, 0.95])
        while rest:
            if self.chance.random() < hurry:
                for _ in range(min(len(rest), self.chance.choice([1, 2, 5, 20]))):
                    self.say(rest.pop(0))
            else:
                self.step()
        return self.settle()

    def settle(self, most: int = 100_000) -> Network:
        """Run until every fold has read its whole inbox."""
        for _ in range(most):
            if not self.step():
                return self
        raise AssertionError("it does not become quiet")

    def step(self) -> bool:
        """Let some folds take some records and end their batches together; False if there is nothing to take."""
        behind = [number for number, log in enumerate(self.logs) if self._read[number] < len(log)]
        if not behind:
            return False
        chosen = self.chance.sample(behind, self.chance.randint(1, len(behind)))
        sealed = [outputs for partition in chosen if (outputs := self._batch(partition)) is not None]
        while sealed := [outputs for outputs in sealed if outputs]:
            output = self.chance.choice(sealed).pop(0)
            self._append(output.partition, output.key, output.value, outside=False)
            self.mails += 1
        return True

    def _batch(self, partition: int) -> list[Output] | None:
        """Fold one batch; returns its mail, None if the worker died before it was committed."""
        start = self._read[partition]
        left = len(self.logs[partition]) - start
        count = min(left, self.chance.choice([1, 1, 2, 3, 8, 50, 1000]))
        fold, records = self._folds[partition], self.logs[partition][start : start + count]
        cut = self.chance.randint(0, count)  # a batch may consist of several runs
        assert fold.apply(records[:cut]) == cut, fold.ready()
        assert fold.apply(records[cut:]) == count - cut, fold.ready()
        if self.chance.random() < 0.04:
            self._folds[partition] = self._fold(partition)
            return None
        sealed = fold.seal()
        for key, value in sealed.changes.items():
            if value is None:
                self.changelogs[partition].pop(key, None)
            else:
                self.changelogs[partition][key] = value
        self.outputs[partition] += sealed.outputs
        self._read[partition] += count
        self.cuts[partition].append(self._read[partition])
        return [output for output in sealed.outputs if output.topic == INBOX]

    def _append(self, partition: int, key: bytes | None, value: bytes | None, *, outside: bool) -> None:
        log = self.logs[partition]
        offset = 2 * len(log)  # with holes, as transactions leave them
        log.append(Record(offset, APPENDED_S * 1000, key, value))
        if outside:
            self.outside.append((partition, offset))

    # -- what is there afterwards

    def states(self) -> dict[str, State]:
        """All states, by key."""
        return {
            key.decode(): state.decode(value)
            for changelog in self.changelogs
            for key, value in changelog.items()
            if key != CLOCK
        }

    def leads(self) -> dict[str, Lead]:
        """The live leads."""
        return {key: each for key, each in self.states().items() if isinstance(each, Lead)}

    def moved(self) -> dict[str, Moved]:
        """The forwarding addresses."""
        return {key: each for key, each in self.states().items() if isinstance(each, Moved)}

    def matches(self) -> dict[str, Match]:
        """Who shares evidence."""
        return {key: each for key, each in self.states().items() if isinstance(each, Match)}

    def lead(self, name: str) -> Lead:
        """The lead of `kind:value`, wherever it has moved."""
        key, states = id_of(name), self.states()
        while isinstance(found := states[key], Moved):
            key = found.to
        assert isinstance(found, Lead)
        return found

    def score(self, lead: Lead, at_s: int) -> int:
        """Its score in milli-points, as the explanation tells it."""
        return explain(lead, self.rules, at_s).score_millipoints

    def said(self, record: type[R]) -> list[R]:
        """All records of that type that were published, by partition."""
        bodies = (decode(output.value) for outputs in self.outputs for output in outputs if output.value is not None)
        return [body for body in bodies if isinstance(body, record)]

    def mail(self, record: type[R]) -> list[R]:
        """All mail of that type, forwarded copies included."""
        return [
            body for output in self.mail_sent() if output.value is not None
            if isinstance(body := decode(output.value), record)
        ]  # fmt: skip

    def mail_sent(self) -> list[Output]:
        """Everything that folds wrote into inboxes."""
        return [output for outputs in self.outputs for output in outputs if output.topic == INBOX]


def ids_of(lead: Lead) -> list[bytes]:
    """The ids of the events in its ledger."""
    return [lead.ids[n : n + 8] for n in range(0, len(lead.ids), 8)]
