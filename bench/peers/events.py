"""The events of the comparison, on topics: the same ones in Avro and in JSON, and shorter pieces for who is slow.

One round is the site's traffic of `bench.traffic`.  For contenders that need long to warm up it comes several times,
each time by other leads: the key, which is the lead, has the round's number behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from bench import kit
from bench.traffic import by_partition, traffic
from schemas.codec import decode
from schemas.records import Engagement

SEED = 7
Pairs = list[tuple[bytes, bytes]]
_LEAD = b'{"lead":"'


@dataclass(frozen=True)
class Stream:
    """One topic of events."""

    topic: str
    partitions: list[Pairs]
    """One round, by partition."""
    rounds: int

    @property
    def count(self) -> int:
        """Events on the topic."""
        return self.rounds * sum(map(len, self.partitions))


class Fields(NamedTuple):
    """What the job needs of an event."""

    kind: str
    occurred_at: int
    json: bytes
    """All of the event in JSON, but for the lead, which is to stand first."""


def fields(value: bytes) -> Fields:
    """An engagement's record in Avro as the others read it."""
    event = decode(value)
    assert isinstance(event, Engagement)
    body = msgspec.to_builtins(event, builtin_types=(bytes,))
    body["event_id"] = event.event_id.hex()
    return Fields(event.kind, event.occurred_at, msgspec.json.encode(body)[1:])


def in_json(key: bytes, event: Fields) -> bytes:
    """An event in JSON, with the lead in it as well, as a service without Avro would send it."""
    return _LEAD + key + b'",' + event.json


def one_round(leads: int, end_ms: int) -> list[Pairs]:
    """A round in Avro by partition."""
    return by_partition(traffic(SEED, leads, end_ms), kit.PARTITIONS)


def by_another_lead(key: bytes, number: int) -> bytes:
    """The key of the lead that does the same in that round."""
    return key + b"~%d" % number if number else key


def _by_other_leads(pairs: Pairs, number: int) -> Pairs:
    """The events of that round."""
    if not number:
        return pairs
    found = []
    for key, value in pairs:
        other = by_another_lead(key, number)
        found.append((other, _LEAD + other + value[len(_LEAD) + len(key) :] if value.startswith(_LEAD) else value))
    return found


async def put(kafka: str, stream: Stream) -> None:
    """Create the topic and fill it."""
    await kit.create(kafka, [stream.topic])
    for number in range(stream.rounds):
        parts = {place: _by_other_leads(pairs, number) for place, pairs in enumerate(stream.partitions)}
        await kit.preload(kafka, stream.topic, parts)
