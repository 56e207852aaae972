"""A lead's state, found by id or identifier in the workers' memory: the changelog, read_committed, to its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import msgspec
from aiokafka.errors import KafkaError

from agents.lane.cursor import CURSOR_KEY
from agents.lane.kafka_log import KafkaLog
from agents.lane.log import CommittedRecord
from agents.leads import CHANGELOG
from gateway.contact import normal_email
from handraise import keyfile
from handraise.failure import CHECK_FAILED, Failure
from handraise.settings import Settings
from handraise.topics import CREATE, admin, find, unreachable
from schemas.keys import partition_of
from schemas.topics import physical
from streams import state
from streams.identity import KIND_NAMES, Kind, lead_id
from streams.lead_fold import CLOCK
from streams.state import Lead, Moved

_LEAD_ID = re.compile(r"[uea]_[a-z2-7]{16}")
_KINDS: dict[str, Kind] = {name: kind for kind, name in KIND_NAMES.items() if kind != "p"}
_MOST_MOVES = 32
"""Forwarding addresses make no cycles; a chain this long would be damage."""


class Found(NamedTuple):
    """A lead, and the id that was asked for if the lead has moved since."""

    id: str
    lead: Lead
    moved_from: str | None
    partitions: int
    """Of the changelog, and so of the inbox."""


class Asked(NamedTuple):
    """What somebody typed: a lead id, and the identifier behind it if one was given."""

    id: str
    kind: str
    value: str


def parse(text: str, settings: Settings) -> Asked:
    """A lead id, or `user:…`, `email:…`, `anonymous:…` as its lead id.  Raises Failure."""
    if _LEAD_ID.fullmatch(text):
        return Asked(text, "", "")
    name, colon, value = text.partition(":")
    if not colon or name not in _KINDS or not value.strip():
        raise Failure(
            f'"{text}" is no lead id',
            "ID",
            "give a lead id such as u_abcdefghijklmnop, or user:…, email:…, anonymous:… with the identifier",
        )
    value = value.strip()
    if name == "email":
        normal = normal_email(value)
        if normal is None:
            raise Failure(f'"{value}" is no e-mail address', "ID", "give it as name@company.example")
        value = normal
    return Asked(lead_id(_KINDS[name], value, keyfile.known_id_key(settings)), name, value)


async def look_up(settings: Settings, asked: Asked) -> Found:
    """The lead; of a moved one that to which it moved.  Raises Failure if there is none."""
    try:
        return await _look_up(settings, asked)
    except (KafkaError, OSError) as error:
        raise unreachable(settings.kafka, error) from error


async def _look_up(settings: Settings, asked: Asked) -> Found:
    topic = physical(CHANGELOG, settings.prefix)
    async with admin(settings.kafka) as client:
        there = (await find(client, [topic])).get(topic)
    if there is None:
        raise Failure("the topic is missing", f"topic {topic} on {settings.kafka}", f"run `{CREATE}`")
    changelog = Changelog(settings.kafka, topic, there.partitions)
    key, followed = asked.id, None
    for _ in range(_MOST_MOVES):
        found = await changelog.get(key)
        if isinstance(found, Lead):
            return Found(key, found, followed, there.partitions)
        if found is None:
            break
        key, followed = found.to, asked.id
    if asked.value and followed is None:
        return await _by_identifier(changelog, asked)
    raise _unknown(asked, changelog.topic)


async def _by_identifier(changelog: Changelog, asked: Asked) -> Found:
    """An identifier that is not a lead's key may be known of a lead with a stronger one: ask them all."""
    found = [
        Found(key.decode(), lead, None, changelog.partitions)
        for key, lead in (await changelog.leads()).items()
        if any((known.kind, known.value) == (asked.kind, asked.value) for known in lead.known)
    ]
    if not found:
        raise _unknown(asked, changelog.topic)
    if len(found) > 1:
        ids = ", ".join(sorted(each.id for each in found))
        raise Failure(
            f"{len(found)} leads have this identifier", f"{asked.kind}:{asked.value}", f"name one: {ids}", CHECK_FAILED
        )
    return found[0]


def _unknown(asked: Asked, topic: str) -> Failure:
    who = f"{asked.kind}:{asked.value}" if asked.value else asked.id
    return Failure(
        f"there is no lead {who}",
        topic,
        "see that HANDRAISE_PREFIX and HANDRAISE_SECRETS are those of the deployment, and that a worker runs; "
        "`handraise tail lead.state` shows the leads that there are",
        CHECK_FAILED,
    )


class Changelog:
    """The states of all leads, as the workers would recover them."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._log = KafkaLog(bootstrap, "handraise-lookup", transaction_timeout_ms=10_000)
        self.topic, self.partitions = topic, partitions

    async def get(self, key: str) -> Lead | Moved | None:
        """The state under one key."""
        wanted, partition = key.encode(), partition_of(key.encode(), self.partitions)
        latest: dict[bytes, bytes | None] = {}

        def keep(_: int, records: Sequence[CommittedRecord]) -> None:
            for record in records:
                if record.key == wanted:
                    latest[wanted] = record.value

        await self._read([partition], keep)
        value = latest.get(wanted)
        return None if value is None else self._decode(value, key)

    async def leads(self) -> dict[bytes, Lead]:
        """All leads, by key."""
        latest: dict[bytes, bytes | None] = {}

        def keep(_: int, records: Sequence[CommittedRecord]) -> None:
            for record in records:
                if record.key not in (None, CLOCK, CURSOR_KEY):
                    latest[record.key] = record.value

        await self._read(range(self.partitions), keep)
        decoded = {key: self._decode(value, key.decode()) for key, value in latest.items() if value is not None}
        return {key: lead for key, lead in decoded.items() if isinstance(lead, Lead)}

    async def _read(self, partitions: Collection[int], keep: Callable[[int, Sequence[CommittedRecord]], None]) -> None:
        reader = await self._log.reader()
        try:
            await reader.read(self.topic, partitions, keep)
        finally:
            await reader.close()

    def _decode(self, value: bytes, key: str) -> Lead | Moved:
        try:
            return state.decode(value)
        except msgspec.MsgspecError as error:
            raise Failure(
                f"the state cannot be read: {error}",
                f"topic {self.topic}, key {key}",
                "run the release that wrote it, or a newer one",
            ) from error
