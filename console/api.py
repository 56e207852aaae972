"""The JSON API over the same facts as the pages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from console import words
from console.acts import BadRequest, activity, presence_of
from console.curve import ledger, ledger_at
from console.gather import Gather
from console.history import Away
from console.people import Facts, People
from console.person import devices
from console.reader import now_ms
from console.saying import Desk, Unavailable
from console.stream import Streams
from console.tojson import as_data, iso
from streams.identity import KIND_NAMES
from streams.lifecycle import STAGES
from streams.reasons import top_reasons

_MOST = 200
_MOST_BODY = 64 * 1024


class Refused(Exception):  # noqa: N818  an answer to the client
    """An answer that is not what was asked for."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Api:
    """The handlers."""

    def __init__(self, gather: Gather, people: People, desk: Desk, streams: Streams) -> None:
        self._gather, self._people, self._desk, self._streams = gather, people, desk, streams

    async def leads(self, request: HttpRequest) -> Response:
        """`GET /api/leads?q=`: by name or address; without `q` those that are hot."""
        now, text = now_ms(), request.query_params.get("q", "")[:200]
        history = self._gather.history
        found = await history.search(text, 50) if text else await history.hot(_MOST)
        ids = list(dict.fromkeys([id for each in found if (id := await history.standing(each))]))
        known = await history.leads(ids)
        rows = []
        for id in ids:
            lead = known.get(id)
            standing = self._gather.standing(lead, now) if lead else None
            state = lead.state if lead else None
            score = standing.score if standing else state.behaviour_millipoints if state else None
            rows.append(
                {
                    "id": id,
                    "behaviour": None if score is None else score / 1_000,
                    "level": standing.level if standing else state.level if state else None,
                    "hot": standing.hot if standing else state.hot if state else None,
                    "owner": lead.owner if lead else None,
                    "reasons": list(standing.reasons) if standing else [],
                }
            )
        return JSONResponse({"leads": rows})

    async def lead(self, request: HttpRequest) -> Response:
        """`GET /api/leads/<id>`."""
        now, facts = now_ms(), await self._facts(request)
        known, standing, asked = facts.known, facts.standing, request.path_params["id"]
        lead, state = (standing.lead if standing else None), known.state
        score = standing.score if standing else state.behaviour_millipoints if state else None
        at = max(now // 1_000, lead.as_of, lead.last_seen) if lead else 0
        return JSONResponse(
            {
                "id": asked,
                "behaviour": None if score is None else score / 1_000,
                "fit": None,
                "grade": None,
                "level": standing.level if standing else state.level if state else None,
                "stage": STAGES[lead.stage] if lead else state.stage if state else None,
                "hot": standing.hot if standing else state.hot if state else None,
                "owner": known.owner,
                "identifiers": [
                    {
                        "kind": KIND_NAMES[each.kind],  # type: ignore[index]
                        "value": each.value,
                        "verified": each.verified > 0,
                        "since": iso(each.since * 1_000),
                    }
                    for each in (lead.known if lead else [])
                ],
                "devices": len(devices(lead, known.id)) if lead else None,
                "reasons": [
                    {"text": reason.text, "rule": reason.rule, "points": reason.millipoints / 1_000}
                    for reason in (top_reasons(lead, self._gather.rules, at) if lead else ())
                ],
                "model": self._gather.rules.version,
                "requests": [as_data(each.assignment) for each in facts.requests if each.assignment],
                "moved_to": known.id if known.id != asked else None,
            }
        )

    async def explain(self, request: HttpRequest) -> Response:
        """`GET /api/leads/<id>/explain?at=`: the ledger; the rows add up."""
        facts = await self._facts(request)
        if facts.standing is None:
            raise Refused(HTTPStatus.NOT_FOUND, "no_ledger", words.NO_LEDGER)
        lead, rules, at = facts.standing.lead, self._gather.rules, request.query_params.get("at")
        explained = ledger(lead, rules, now_ms() // 1_000) if at is None else ledger_at(lead, rules, _time(at))
        if explained is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "before_ledger", words.BEFORE_LEDGER)
        return JSONResponse(
            {
                "score": explained.score_millipoints / 1_000,
                "as_of": iso(explained.as_of_s * 1_000),
                "model": rules.version,
                "rows": [
                    {
                        "rule": row.rule,
                        "event_id": row.event_id,
                        "at": None if row.at_s is None else iso(row.at_s * 1_000),
                        "raw": row.raw_millipoints / 1_000,
                        "limited": row.limited_millipoints / 1_000,
                        "decayed": row.decayed_millipoints / 1_000,
                        "device": row.device,
                    }
                    for row in explained.rows
                ],
            }
        )

    async def timeline(self, request: HttpRequest) -> Response:
        """`GET /api/leads/<id>/timeline`: the latest first."""
        records = await self._people.timeline(await self._facts(request))
        return JSONResponse({"events": [as_data(each) for each in records]})

    async def alerts(self, request: HttpRequest) -> Response:
        """`GET /api/alerts`: the latest first."""
        return JSONResponse({"alerts": [as_data(each) for each in await self._gather.history.alerts(_MOST)]})

    async def assignments(self, request: HttpRequest) -> Response:
        """`GET /api/assignments?owner=`: what is open, the most urgent first; hands before leads."""
        owner = request.query_params.get("owner")
        whose = f"rep:{owner}" if owner else "all"
        found = []
        for kind in ("hands", "leads"):
            found += await self._gather.history.open_requests(kind, whose, _MOST)
        now = [self._gather.live.over(each) for each in found]
        return JSONResponse({"assignments": [as_data(each.assignment) for each in now if each.assignment]})

    async def stream(self, request: HttpRequest) -> Response:
        """`GET /api/stream`: alerts, assignments and what is withdrawn, as they come."""
        return self._streams.json(request)

    async def act(self, request: HttpRequest) -> Response:
        """`POST /api/leads/<id>/activities`: 200 done, 202 taken down and no word yet, 409 refused."""
        reader, given = request.state.reader, await _body(request)
        try:
            said = activity(given, reader, given.get("request_id") or None, request.path_params["id"], now_ms())
        except BadRequest as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "bad_request", str(error)) from None
        try:
            word = await self._people.act(said)
        except Unavailable as error:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "kafka_away", words.NOT_TAKEN_DOWN) from error
        if word.refusal:
            raise Refused(HTTPStatus.CONFLICT, "refused", word.refusal)
        if word.assignment is None:
            return JSONResponse(
                {"activity_id": said.activity_id, "status": "taken_down", "message": words.NO_WORD}, HTTPStatus.ACCEPTED
            )
        return JSONResponse({"activity_id": said.activity_id, "status": "done", "assignment": as_data(word.assignment)})

    async def presence(self, request: HttpRequest) -> Response:
        """`POST /api/reps/<id>/presence`."""
        try:
            said = presence_of(await _body(request), request.state.reader, self._person(request), now_ms())
            await self._desk.be(said)
        except BadRequest as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "bad_request", str(error)) from None
        except Unavailable as error:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "kafka_away", words.NOT_TAKEN_DOWN) from error
        return JSONResponse(as_data(said), HTTPStatus.ACCEPTED)

    def _person(self, request: HttpRequest) -> str:
        id: str = request.path_params["id"]
        if id not in self._gather.desk_rules.roster.people:
            raise Refused(HTTPStatus.NOT_FOUND, "no_such_person", words.NO_SUCH_PERSON)
        return id

    async def _facts(self, request: HttpRequest) -> Facts:
        facts = await self._people.facts(request.path_params["id"], now_ms())
        if facts is None:
            raise Refused(HTTPStatus.NOT_FOUND, "no_such_lead", words.NO_SUCH_LEAD)
        return facts


async def refused(request: HttpRequest, error: Exception) -> Response:
    """The answer to what is refused, or cannot be answered now."""
    if isinstance(error, Away):
        body = {"code": "history_away", "message": words.CATCHING_UP.format(why=error)}
        return JSONResponse(body, HTTPStatus.SERVICE_UNAVAILABLE, headers={"retry-after": "2"})
    assert isinstance(error, Refused)  # noqa: S101  registered for these two alone
    return JSONResponse({"code": error.code, "message": str(error)}, error.status)


async def _body(request: HttpRequest) -> dict[str, str]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "the body has over 64 KB")
    try:
        found: Any = json.loads(body or b"{}")
    except ValueError:
        raise Refused(HTTPStatus.BAD_REQUEST, "bad_json", "the body is no JSON") from None
    if not isinstance(found, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "bad_json", "the body is no JSON object")
    return {str(name): str(value) for name, value in found.items() if value is not None}


def _time(text: str) -> int:
    """An ISO 8601 time (UTC if it names no zone) in seconds."""
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise Refused(HTTPStatus.BAD_REQUEST, "bad_time", f"“{text[:40]}” is no ISO 8601 time") from None
