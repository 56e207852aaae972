"""What happens, pushed to browsers (rows of HTML) and to services (JSON), by server-sent events.

The id of an event is a time: whoever comes back with it in `Last-Event-ID` is sent what was shown since 30 s before,
and dedupes by the `id` in the data.  `gap` says that this is not all: read anew.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request as HttpRequest

from console import views
from console.gather import Gather
from console.hub import Happening, Hub
from console.live import Request
from console.metrics import Metrics
from console.reader import now_ms
from console.tojson import as_data
from console.views import Reader, Row
from schemas.records import Assignment, LeadAlert, Notice, Presence, RaisedHand

PENDING_S = 0.1
"""A hand is usually owned within milliseconds: until then it is not shown to everybody, so that nothing flickers."""
_IDLE_S = 1.0
_PING_S = 15
_FIRST = frozenset({"raised_hand", "suspect", "mql", "hot"})
"""Causes of a first decision: nobody had the request before."""

Render = Callable[[Row], str]


class Streams:
    """Makes streams over a hub."""

    def __init__(self, hub: Hub, gather: Gather, metrics: Metrics, trouble: Callable[[Reader], str]) -> None:
        self._hub, self._gather, self._metrics, self._trouble = hub, gather, metrics, trouble

    def json(self, request: HttpRequest) -> EventSourceResponse:
        """Alerts, assignments and what is withdrawn, for services."""
        return _response(self._json(_since(request), request.state.until))

    def rows(self, request: HttpRequest, render: Render, page: str) -> EventSourceResponse:
        """Rows for the reader's queue; for the desk board, where everybody's hands stand; for the page of a lead."""
        return _response(self._rows(_since(request), request.state.reader, request.state.until, render, page))

    async def _json(self, since: int | None, until: int) -> AsyncIterator[ServerSentEvent]:
        listener, past, whole = self._hub.listen(since, _is_public)
        try:
            yield ServerSentEvent(json.dumps({"whole": whole}), event="hello" if whole else "gap", id=str(now_ms()))
            for each in past:
                yield _public(each)
            while not listener.over and now_ms() < until:
                heard = await listener.next(_IDLE_S)
                if heard is not None:
                    yield _public(heard)
        finally:
            self._hub.leave(listener)

    async def _rows(
        self, since: int | None, reader: Reader, until: int, render: Render, page: str
    ) -> AsyncIterator[ServerSentEvent]:
        listener, past, whole = self._hub.listen(since, _is_for_pages)
        loop, pending, trouble = asyncio.get_running_loop(), dict[str, float](), ""
        try:
            yield ServerSentEvent("", event="hello" if whole else "gap", id=str(now_ms()))
            heard: list[Happening] = past
            while not listener.over and now_ms() < until:
                for each in heard:
                    if isinstance(each.record, RaisedHand):
                        pending[each.record.request_id] = loop.time() + PENDING_S
                        continue
                    if isinstance(each.record, Assignment):
                        pending.pop(each.record.request_id, None)
                    async for event in self._tell(each, reader, render, page):
                        yield event
                for id in [id for id, due in pending.items() if due <= loop.time()]:
                    del pending[id]
                    if (request := await self._gather.request(id)) is not None and request.assignment is None:
                        yield await self._row(request, reader, render)
                if (news := self._trouble(reader)) != trouble:
                    trouble = news
                    yield ServerSentEvent(json.dumps({"text": trouble}), event="trouble")
                wait = min([_IDLE_S, *(due - loop.time() for due in pending.values())])
                next_one = await listener.next(max(wait, 0.001))
                heard = [next_one] if next_one is not None else []
            yield ServerSentEvent("", event="bye")
        finally:
            self._hub.leave(listener)

    async def _tell(
        self, happening: Happening, reader: Reader, render: Render, page: str
    ) -> AsyncIterator[ServerSentEvent]:
        match happening.record:
            case Assignment() as assignment:
                request = await self._gather.request(assignment.request_id)
                if request is None:  # the only decision was withdrawn, and the hand is older than the console
                    return
                if _stands(request, reader, page):
                    yield await self._row(request, reader, render, happening)
                elif page != "queue" or assignment.cause not in _FIRST:
                    gone = {
                        "id": assignment.request_id,
                        "text": views.has_it(request, self._gather.desk_rules, reader, now_ms()),
                    }
                    yield ServerSentEvent(json.dumps(gone), event="gone", id=str(happening.at))
            case Notice(to=to, kind="taken", text=text) if to == reader.id and not happening.withdrawn:
                note = {"id": happening.id, "text": text}
                yield ServerSentEvent(json.dumps(note), event="note", id=str(happening.at))
            case Presence(rep=rep, state=state) if page == "desk" or rep == reader.id:
                yield ServerSentEvent(json.dumps({"rep": rep, "state": state}), event="presence", id=str(happening.at))

    async def _row(
        self, request: Request, reader: Reader, render: Render, happening: Happening | None = None
    ) -> ServerSentEvent:
        now = now_ms()
        row = await self._gather.row(request, reader, now)
        if happening is not None and request.took_ms is not None and request.assignment is happening.record:
            self._metrics.hand_seconds.observe(request.took_ms / 1_000)
        return ServerSentEvent(render(row), event="row", id=str(happening.at if happening else now))


def _stands(request: Request, reader: Reader, page: str) -> bool:
    """Whether a request has a row on a page."""
    if page == "queue":
        return views.concerns(request, reader)
    is_shown = request.hand is not None if page == "desk" else not views.is_part_of_a_hand(request)
    return is_shown and views.is_open(request)


def _response(events: AsyncIterator[ServerSentEvent]) -> EventSourceResponse:
    return EventSourceResponse(events, ping=_PING_S, headers={"cache-control": "no-store", "x-accel-buffering": "no"})


def _since(request: HttpRequest) -> int | None:
    """The time in Last-Event-ID, which browsers send, or in `?since=`, for a page's first connection."""
    text = request.headers.get("last-event-id") or request.query_params.get("since", "")
    return int(text) if text.isdigit() and len(text) < 16 else None


def _is_public(happening: Happening) -> bool:
    return isinstance(happening.record, Assignment | LeadAlert)


def _is_for_pages(happening: Happening) -> bool:
    """Qualified leads are no news of the moment: there may be many, and the day's digest tells of them."""
    record = happening.record
    if isinstance(record, Assignment):
        return record.follow_up_class != views.QUALIFIED
    return isinstance(record, RaisedHand | Notice | Presence)


def _public(happening: Happening) -> ServerSentEvent:
    kind = "alert" if isinstance(happening.record, LeadAlert) else "assignment"
    data: dict[str, Any] = {"id": happening.id, "shown_at": happening.at}
    if happening.withdrawn:
        data["kind"], kind = kind, "withdrawn"
    else:
        data[kind] = as_data(happening.record)
    return ServerSentEvent(json.dumps(data, ensure_ascii=False), event=kind, id=str(happening.at))
