"""Events from a file: what trackers post and what people do, one JSON object a line, in the order of their time.

docs/replay.md has the format.  The file may be in any order: it is read twice, first for the order and then, line by
line, for the events; about 100 bytes of memory a line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gateway import clock
from gateway.body import RAW_NULL
from gateway.problem import BadEvent
from gateway.sources import Source
from gateway.stamp import Arrival, Stamper
from handraise import lookup
from handraise.failure import Failure
from handraise.rules import RuleSet
from handraise.settings import Settings
from schemas.codec import encode
from schemas.records import Activity, Presence
from streams.vocabulary import CALLS

LEADS, DESK = "lead.events", "desk.events"
_OTHERS = ("activity", "presence", "time")
_REQUEST = re.compile(r"[0-9a-f]{16}\Z")
_REMEDY = "see docs/replay.md for what a line holds"


class Arrived(NamedTuple):
    """A record that came from outside."""

    at_ms: int
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    """None: nothing came, but time has passed."""


class _Place(NamedTuple):
    """Where a line stands in the order of all, and in the file."""

    received_at: int
    id: str
    number: int
    position: int


class _Line(msgspec.Struct):
    received_at: str | int | None = None
    type: str | None = None
    messageId: str | int | None = None  # noqa: N815  the protocol's spelling
    writeKey: str | None = None  # noqa: N815


class _Activity(msgspec.Struct):
    about: str
    kind: str
    rep: str
    reason: str = ""
    note: str = ""
    channel: str = ""


class _Presence(msgspec.Struct):
    rep: str
    state: str
    until: str | int | None = None


_line = msgspec.json.Decoder(_Line)


class Lines:
    """The events of a file, in order of (received_at, id); stamped as a gateway would stamp them."""

    def __init__(self, path: Path, settings: Settings, rules: RuleSet, secret: bytes) -> None:
        self._path, self._settings, self._sources = path, settings, rules.sources
        self._partitions = settings.partitions
        self._stamper = Stamper(rules.vocabulary, secret, self._partitions)

    def __iter__(self) -> Iterator[Arrived]:
        """All of them.  Raises Failure, with the line's number, for the first that cannot be used."""
        try:
            places = self._places()
            with self._path.open("rb") as file:
                for place in places:
                    file.seek(place.position)
                    yield from self._read(file.readline(), place)
        except OSError as error:
            raise Failure(f"the events cannot be read: {error.strerror}", str(self._path), "name a file") from None

    def _places(self) -> list[_Place]:
        places, position = [], 0
        with self._path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if raw.strip():
                    line = self._decode(raw, number, _line)
                    places.append(
                        _Place(self._time(line.received_at, number), str(line.messageId or ""), number, position)
                    )
                position += len(raw)
        places.sort()
        return places

    def _read(self, raw: bytes, place: _Place) -> Iterator[Arrived]:
        line = self._decode(raw, place.number, _line)
        at = place.received_at
        if line.type == "time":
            yield Arrived(at, LEADS, 0, None, None)
        elif line.type == "activity":
            yield Arrived(at, DESK, 0, None, encode(self._activity(raw, place)))
        elif line.type == "presence":
            given = self._decode(raw, place.number, msgspec.json.Decoder(_Presence))
            until = None if given.until is None else self._time(given.until, place.number, "until")
            yield Arrived(at, DESK, 0, None, encode(Presence(given.rep, given.state, until, at, "replay")))
        else:
            yield from self._event(raw, line, place)

    def _activity(self, raw: bytes, place: _Place) -> Activity:
        given = self._decode(raw, place.number, msgspec.json.Decoder(_Activity))
        request = given.about if _REQUEST.match(given.about) else None
        try:
            lead = None if request else lookup.parse(given.about, self._settings).id
        except Failure as failure:
            raise self._fail(place.number, f"`about`: {failure.what}", failure.remedy) from None
        return Activity(
            activity_id=hashlib.blake2b(raw.strip(), digest_size=16).hexdigest(),
            request_id=request,
            lead_id=lead,
            rep=given.rep,
            kind=given.kind,
            reason=given.reason,
            note=given.note,
            channel=given.channel,
            at=place.received_at,
            by="replay",
        )

    def _event(self, raw: bytes, line: _Line, place: _Place) -> Iterator[Arrived]:
        at, number = place.received_at, place.number
        if line.type not in CALLS:
            known = ", ".join((*CALLS, *_OTHERS))
            raise self._fail(number, f"there is no type {line.type!r}", f"use one of {known}")
        arrival = Arrival(self._source(line, number), at, None, "", False, "", False, False, False, None, RAW_NULL)
        try:
            stamped = self._stamper.stamp(msgspec.Raw(raw.strip()), arrival)
        except BadEvent as bad:
            raise self._fail(number, f"{bad.code}: {bad.reason}", _REMEDY) from None
        if stamped is None:
            return
        if stamped.engagement is not None:
            yield Arrived(at, LEADS, stamped.partition, stamped.key, encode(stamped.engagement))
        if stamped.hand is not None:
            yield Arrived(at, DESK, 0, None, encode(stamped.hand))

    def _source(self, line: _Line, number: int) -> Source:
        source = self._sources.only() if line.writeKey is None else self._sources.get(line.writeKey)
        if source is None:
            raise self._fail(number, f"no source has the write key {line.writeKey!r}", "name one of rules/sources.toml")
        return source

    def _time(self, value: str | int | None, number: int, name: str = "received_at") -> int:
        try:
            at = clock.read_time(value)
        except (ValueError, OverflowError):
            at = None
        if at is None:
            what = f"there is no `{name}`" if value is None else f"`{name}` is no time: {value!r}"
            raise self._fail(number, what, "give it as 2026-11-22T14:03:00.000Z, or in milliseconds since 1970")
        return at

    def _decode(self, raw: bytes, number: int, decoder: msgspec.json.Decoder[Any]) -> Any:
        try:
            return decoder.decode(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise self._fail(number, f"the line cannot be read: {error}", _REMEDY) from None

    def _fail(self, number: int, what: str, remedy: str) -> Failure:
        return Failure(what, f"{self._path}, line {number}", remedy)
