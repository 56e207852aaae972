"""How far a deployment has come: events scored and filtered, counted as its records come in."""

from __future__ import annotations

from collections import Counter

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from schemas.codec import decode
from schemas.records import LeadState, Rejected
from tests.e2e.deployment import Deployment


class Tally:
    """A reader of states, quarantine and dead letters that goes on where it was; read_committed."""

    def __init__(self, place: Deployment) -> None:
        self._reader = Consumer(
            {
                "bootstrap.servers": place.kafka,
                "group.id": f"{place.prefix}tally",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
            }
        )
        names = [place.topic(name) for name in ("lead.state", "engagement.quarantine", "engagement.rejected")]
        self._reader.assign(
            [TopicPartition(name, n, OFFSET_BEGINNING) for name in names for n in range(place.partitions)]
        )
        self._state_topic, self._quarantine_topic, _ = names
        self._events: dict[bytes, tuple[int, int]] = {}
        self._quarantined = 0
        self._dead: list[Rejected] = []

    def __enter__(self) -> Tally:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def _read(self) -> None:
        while messages := self._reader.consume(5000, 0.05):
            for message in messages:
                assert message.error() is None, message.error()
                if message.topic() == self._quarantine_topic:
                    self._quarantined += 1
                    continue
                if message.value() is None:  # the lead has become a part of another one
                    self._events.pop(message.key() or b"", None)
                    continue
                body = decode(message.value() or b"")
                if isinstance(body, LeadState):
                    self._events[message.key() or b""] = (message.partition(), body.events)
                elif isinstance(body, Rejected):
                    self._dead.append(body)

    def scored(self) -> Counter[int]:
        """Events that were scored, by partition, as the newest state of each lead says."""
        self._read()
        found: Counter[int] = Counter()
        for partition, events in self._events.values():
            found[partition] += events
        return found

    def folded(self) -> int:
        """Events that were scored or filtered."""
        return self.scored().total() + self._quarantined

    def dead_letters(self) -> list[bytes]:
        """The bytes that the fold rejected, in the inbox's order."""
        self._read()
        letters = [letter for letter in self._dead if letter.topic is not None]
        return [letter.record for letter in sorted(letters, key=lambda it: (it.partition or 0, it.offset or 0))]
