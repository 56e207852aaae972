"""The ingest paths of Segment's HTTP API, as a raw ASGI callable: authenticate, stamp, append, answer.

200 means that Kafka has every event of the request; one that cannot be used is in the dead letter topic, with its
reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus

import msgspec

from gateway import body as bodies
from gateway import clock
from gateway.appender import Appender, Row, Unavailable
from gateway.body import Parcel
from gateway.call import read_write_key
from gateway.known import ReadSide
from gateway.metrics import Metrics
from gateway.problem import BadEvent, Problem
from gateway.request import (
    JSON,
    PREFLIGHT,
    RETRY_AFTER_S,
    Held,
    Receive,
    Request,
    Scope,
    Send,
    answer,
    basic_user,
    cors,
    expect_post,
    query_key,
    read_body,
    read_head,
)
from gateway.sources import Source, Sources
from gateway.stamp import Arrival, Stamper
from schemas.codec import encode
from schemas.keys import partition_of
from schemas.records import RaisedHand, Rejected

_SINGLE = ("track", "page", "screen", "identify", "group", "alias")
PATHS: dict[str, tuple[str | None, bool]] = {
    **{f"/v1/{call}": (call, False) for call in _SINGLE},
    **{f"/v1/{call[0]}": (call, False) for call in _SINGLE},
    "/v1/batch": (None, False),
    "/v1/b": (None, False),
    "/v1/import": (None, True),
    "/beacon/v1/batch": (None, False),
}
"""Path -> (the call it stands for, None for a batch; whether its events are imported)."""

_SUCCESS = b'{"success":true}'
_KEY_REMEDY = "use the write key of a source in rules/sources.toml"


class Ingest:
    """The ASGI callable for the paths in PATHS."""

    def __init__(
        self,
        sources: Sources,
        stamper: Stamper,
        appender: Appender,
        read_side: ReadSide,
        metrics: Metrics,
        rejected_partitions: int,
        held_bytes: int,
        now: Callable[[], int],
    ) -> None:
        self._held = Held(held_bytes)
        self._sources, self._stamper, self._appender, self._now = sources, stamper, appender, now
        self._read_side, self._metrics, self._rejected_partitions = read_side, metrics, rejected_partitions
        self._statuses = {status: metrics.requests.labels(str(int(status))) for status in HTTPStatus}
        self._accepted, self._rejected, self._dropped = (
            {name: metrics.events.labels(name, outcome) for name in sources.names}
            for outcome in ("accepted", "rejected", "dropped")
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = read_head(scope)
        headers = cors(request.origin, self._sources)
        if scope["method"] == "OPTIONS":
            self._statuses[HTTPStatus.NO_CONTENT].inc()
            await answer(send, HTTPStatus.NO_CONTENT, [*headers, *PREFLIGHT] if len(headers) > 1 else headers, b"")
            return
        begun = time.perf_counter()
        try:
            expect_post(scope["method"], request.path)
            body = await read_body(receive, request.path, self._held)
            if body is None:
                return
            try:
                await self._take(body, request)
            finally:
                self._held.bytes -= len(body)
        except Problem as problem:
            self._statuses[problem.status].inc()
            if problem.retry_after_s is not None:
                headers.append((b"retry-after", str(problem.retry_after_s).encode()))
            await answer(send, problem.status, [JSON, *headers], problem.body())
            return
        finally:
            self._metrics.request_seconds.observe(time.perf_counter() - begun)
        self._statuses[HTTPStatus.OK].inc()
        await answer(send, HTTPStatus.OK, [JSON, *headers], _SUCCESS)

    async def _take(self, body: bytes, request: Request) -> None:
        received_at = self._now()
        key = basic_user(request.headers.get(b"authorization"))
        if key is not None:
            self._source(key, request)
        parcel = bodies.read(body, request.path, batch=PATHS[request.path][0] is None)
        rows: list[Row] = []
        hands: list[RaisedHand] = []
        counts: list[tuple[Source, list[int]]] = []
        for source, events, unknown in self._by_source(key or parcel.writeKey, parcel, request):
            arrival = _arrival(source, parcel, request, received_at)
            counts.append((source, count := [0, len(unknown), 0]))
            for raw in events:
                self._one(raw, arrival, rows, hands, count)
            for raw in unknown:
                bad = BadEvent("unknown_write_key", "no source has this write key", "the event's writeKey", _KEY_REMEDY)
                rows.append(self._reject(raw, bad, arrival))
        if hands:
            stamped = await self._read_side.stamp(hands)
            rows += [Row("desk.events", 0, None, encode(hand), received_at) for hand in stamped]
        await self._append(rows)
        for source, count in counts:
            for outcome, number in zip((self._accepted, self._rejected, self._dropped), count, strict=True):
                if number:
                    outcome[source.name].inc(number)

    def _one(
        self, raw: msgspec.Raw, arrival: Arrival, rows: list[Row], hands: list[RaisedHand], count: list[int]
    ) -> None:
        try:
            bodies.expect_size(raw)
            stamped = self._stamper.stamp(raw, arrival)
        except BadEvent as bad:
            if not arrival.opted_out:
                rows.append(self._reject(raw, bad, arrival))
                count[1] += 1
                return
            stamped = None  # the dead letter keeps bytes as they came, which is not what this visitor wished
        if stamped is None:
            count[2] += 1
            return
        if stamped.engagement is not None:
            value = encode(stamped.engagement)
            rows.append(Row("lead.events", stamped.partition, stamped.key, value, arrival.received_at))
        if stamped.hand is not None:
            hands.append(stamped.hand)
        count[0] += 1

    def _reject(self, raw: msgspec.Raw, bad: BadEvent, arrival: Arrival) -> Row:
        self._metrics.rejected.labels(bad.code).inc()
        source = arrival.source
        value = encode(Rejected(source.name, bad.code, bad.reason, arrival.received_at, bytes(raw)))
        partition = partition_of(source.record_key, self._rejected_partitions)
        return Row("engagement.rejected", partition, source.record_key, value, arrival.received_at)

    async def _append(self, rows: list[Row]) -> None:
        try:
            await self._appender.append(rows)
        except Unavailable as why:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "kafka_away",
                f"the events could not be stored: {why}",
                "the gateway's way to Kafka",
                "send them again later",
                RETRY_AFTER_S,
            ) from why

    def _source(self, key: str, request: Request) -> Source:
        """The source of a write key.  Raises Problem if there is none (401), or if it refuses the page (403)."""
        source = self._sources.get(key)
        if source is None:
            what = f'no source has the write key "{key[:128]}"' if key else "there is no write key"
            raise Problem(HTTPStatus.UNAUTHORIZED, "unknown_write_key", what, request.path, _KEY_REMEDY)
        origin = request.origin
        if origin and not source.allows(origin):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "origin_not_allowed",
                f'pages of "{origin[:200]}" may not send with this write key',
                f'source "{source.name}"',
                "add the origin to the source in rules/sources.toml",
            )
        return source

    def _by_source(
        self, key: str | None, parcel: Parcel, request: Request
    ) -> Iterable[tuple[Source, list[msgspec.Raw], list[msgspec.Raw]]]:
        """The events under their source, and beside the first source those whose write key is not known."""
        events = parcel.batch if isinstance(parcel.batch, list) else []
        fallback = query_key(request.query)
        if key is not None:
            return [(self._source(key, request), events, [])]
        groups: dict[str, list[msgspec.Raw]] = {}
        unknown: list[msgspec.Raw] = []
        for raw in events:
            own = read_write_key(raw) or fallback or ""
            (groups.setdefault(own, []) if self._sources.get(own) else unknown).append(raw)
        if not groups:
            own = (read_write_key(unknown[0]) if unknown else None) or fallback or ""
            return [(self._source(own, request), events, [])]
        taken = [(self._source(own, request), grouped) for own, grouped in groups.items()]
        return [(source, grouped, [] if n else unknown) for n, (source, grouped) in enumerate(taken)]


def _arrival(source: Source, parcel: Parcel, request: Request, received_at: int) -> Arrival:
    headers = request.headers
    call, imported = PATHS[request.path]
    browser = request.from_browser
    return Arrival(
        source,
        received_at,
        _sent_at(parcel),
        source.client_address(request.peer, request.forwarded_for) if browser else "",
        browser,
        headers.get(b"user-agent", b"").decode("latin-1") if browser else "",
        headers.get(b"sec-gpc") == b"1",
        headers.get(b"dnt") == b"1",
        imported,
        call,
        parcel.context,
    )


def _sent_at(parcel: Parcel) -> int | None:
    try:
        return clock.read_time(parcel.sentAt)
    except (ValueError, OverflowError):
        return None  # the client's clock cannot be judged then
