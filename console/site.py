"""The pages, and what forms on them do."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console import passwords, words
from console.acts import BadRequest, activity, presence_of
from console.curve import Curve
from console.gather import Gather, reader_of
from console.guard import local
from console.history import Away
from console.people import People
from console.reader import now_ms
from console.saying import Desk, Unavailable
from console.sessions import COOKIE, LASTS_MS, Sessions
from console.stream import Streams
from console.views import Reader, Row
from streams.desk.lifecycle import REASONS

HERE = Path(__file__).parent
_MOST_FORM_BYTES = 64 * 1024
_WIDTH, _HEIGHT = 96, 24
_TRIES, _TRY_S = 8, 300.0


class Site:
    """The handlers, over what they show."""

    def __init__(
        self,
        gather: Gather,
        people: People,
        desk: Desk,
        streams: Streams,
        sessions: Sessions,
        passwords_of: Callable[[], Mapping[str, str]],
        trouble: Callable[[Reader], str],
        demo_site: str | None,
    ) -> None:
        self._gather, self._people, self._desk, self._streams = gather, people, desk, streams
        self._sessions, self._passwords, self._trouble, self._demo_site = sessions, passwords_of, trouble, demo_site
        self._failed: dict[str, list[float]] = {}
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(words=words, spark=spark, assets=_assets(), reasons=REASONS)

    async def queue(self, request: HttpRequest) -> Response:
        """`/`: what is to be done next."""
        reader, now = request.state.reader, now_ms()
        return await self._page("queue.html", request, queue=await self._gather.queue(reader, now), now=now)

    async def board(self, request: HttpRequest) -> Response:
        """`/desk`: is anybody waiting?"""
        reader, now = request.state.reader, now_ms()
        if not reader.is_manager:
            return await self.problem(request, HTTPStatus.FORBIDDEN, words.MANAGERS_ONLY)
        return await self._page("desk.html", request, board=await self._gather.board(reader, now), now=now)

    async def lead(self, request: HttpRequest) -> Response:
        """`/leads/<id>`: who is this, why now, what happened?"""
        reader, now = request.state.reader, now_ms()
        try:
            found = await self._people.lead(request.path_params["id"], reader, now)
        except Away as why:
            return await self.problem(request, HTTPStatus.SERVICE_UNAVAILABLE, words.CATCHING_UP.format(why=why))
        if found is None:
            return await self.problem(request, HTTPStatus.NOT_FOUND, words.NO_SUCH_LEAD)
        if found.id != request.path_params["id"]:
            return RedirectResponse(f"/leads/{found.id}", HTTPStatus.SEE_OTHER)
        return await self._page("lead.html", request, lead=found, now=now)

    async def search(self, request: HttpRequest) -> Response:
        """`/search?q=`: people by name or address; the rows alone for htmx."""
        text = request.query_params.get("q", "")[:200]
        found, why = [], ""
        try:
            found = await self._people.search(text, request.state.reader, now_ms())
        except Away as away:
            why = words.CATCHING_UP.format(why=away)
        name = "found.html" if "hx-request" in request.headers else "search.html"
        return await self._page(name, request, found=found, text=text, why=why, now=now_ms())

    async def demo(self, request: HttpRequest) -> Response:
        """`/demo`: the sample site on the left, the reader's page on the right."""
        if self._demo_site is None:
            return await self.problem(request, HTTPStatus.NOT_FOUND, words.NO_SUCH_PAGE)
        return await self._page("demo.html", request, site=self._demo_site, now=now_ms())

    async def live(self, request: HttpRequest) -> Response:
        """`/live`: rows as they change."""
        reader, page = request.state.reader, _page_of(request.query_params)
        if page == "desk" and not reader.is_manager:
            return await self.problem(request, HTTPStatus.FORBIDDEN, words.MANAGERS_ONLY)
        return self._streams.rows(request, lambda row: self._row(row, reader, page), page)

    async def act(self, request: HttpRequest) -> Response:
        """A form about a request: the row as it then is; with what the desk or Kafka has to say against it."""
        reader = request.state.reader
        form = await _form(request)
        form["reason"] = form.get(f"reason_{form.get('kind', '')}", "")
        try:
            said = activity(form, reader, form.get("request_id") or None, None, now_ms())
        except BadRequest as error:
            return await self.problem(request, HTTPStatus.BAD_REQUEST, str(error))
        said_to, status, text = said.request_id or "", HTTPStatus.OK, ""
        try:
            word = await self._people.act(said)
            status = HTTPStatus.CONFLICT if word.refusal else HTTPStatus.OK
            text = word.refusal or ("" if word.assignment else words.NO_WORD)
        except Unavailable:
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, words.NOT_TAKEN_DOWN
        if "hx-request" not in request.headers:
            if status is HTTPStatus.OK:
                return RedirectResponse(local(form.get("next", "/")), HTTPStatus.SEE_OTHER)
            return await self.problem(request, status, text)
        found = await self._gather.request(said_to)
        if found is None:
            return await self.problem(request, HTTPStatus.NOT_FOUND, words.NO_SUCH_REQUEST)
        row = await self._gather.row(found, reader, now_ms())
        return HTMLResponse(self._row(row, reader, _page_of(form), text), status)

    async def presence(self, request: HttpRequest) -> Response:
        """The switch of a reader's own presence."""
        form = await _form(request)
        try:
            said = presence_of(form, request.state.reader, request.state.reader.id, now_ms())
            await self._desk.be(said)
        except BadRequest as error:
            return await self.problem(request, HTTPStatus.BAD_REQUEST, str(error))
        except Unavailable:
            return await self.problem(request, HTTPStatus.SERVICE_UNAVAILABLE, words.NOT_TAKEN_DOWN)
        if "hx-request" in request.headers:
            html = self._templates.get_template("presence.html").render(presence=said.state)
            return HTMLResponse(html)
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)

    async def login(self, request: HttpRequest) -> Response:
        """`/login`: a form, or a link that signs in once."""
        if once := request.query_params.get("once"):
            used = self._sessions.use(once, now_ms())
            if used is None:
                return self._login(words.LINK_USED, "/", HTTPStatus.FORBIDDEN)
            return self._enter(request, used.rep, used.page)
        return self._login("", local(request.query_params.get("next", "/")), HTTPStatus.OK)

    async def sign_in(self, request: HttpRequest) -> Response:
        """The form's answer."""
        form = await _form(request)
        rep, page = form.get("rep", "").strip().casefold()[:64], local(form.get("next", "/"))
        tries = [at for at in self._failed.get(rep, []) if time.monotonic() - at < _TRY_S]
        if len(tries) >= _TRIES:
            text = f"Too many wrong passwords: try again in {int(_TRY_S / 60)} minutes."
            return self._login(text, page, HTTPStatus.TOO_MANY_REQUESTS)
        stored = self._passwords().get(rep, passwords.NOBODY)
        if not await asyncio.to_thread(passwords.fits, form.get("password", ""), stored):
            if len(self._failed) > 10_000:
                self._failed.clear()
            self._failed[rep] = [*tries, time.monotonic()]
            return self._login(words.WRONG_LOGIN, page, HTTPStatus.FORBIDDEN)
        self._failed.pop(rep, None)
        return self._enter(request, rep, page)

    async def sign_out(self, request: HttpRequest) -> Response:
        """Forget who this is."""
        answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    async def problem(self, request: HttpRequest, status: HTTPStatus, text: str) -> Response:
        """A page that says what is wrong; the words alone for a part of a page."""
        if "hx-request" in request.headers or request.url.path == "/live":
            return Response(text, status, media_type="text/plain")
        return await self._page("problem.html", request, status, text=text, now=now_ms())

    def _enter(self, request: HttpRequest, rep: str, page: str) -> Response:
        if reader_of(self._gather.desk_rules, rep) is None:
            return self._login(words.NOT_IN_ROSTER, page, HTTPStatus.FORBIDDEN)
        answer = RedirectResponse(local(page), HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            COOKIE,
            self._sessions.begin(rep, now_ms()),
            max_age=LASTS_MS // 1_000,
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    def _login(self, text: str, page: str, status: HTTPStatus) -> Response:
        html = self._templates.get_template("login.html").render(text=text, page=page, theme="")
        return HTMLResponse(html, status)

    def _row(self, row: Row, reader: Reader, page: str, text: str = "") -> str:
        template = self._templates.get_template("row.html")
        return template.render(row=row, reader=reader, page=page, text=text, now=now_ms())

    async def _page(self, name: str, request: HttpRequest, status: HTTPStatus = HTTPStatus.OK, **more: Any) -> Response:
        reader: Reader | None = getattr(request.state, "reader", None)
        theme = request.cookies.get("theme", "")
        more = {"page": _page_of({"page": name.partition(".")[0]}), "text": ""} | more
        more |= {
            "reader": reader,
            "presence": await self._gather.presence(reader, more["now"]) if reader else "on",
            "path": request.url.path,
            "theme": theme if theme in ("dark", "light") else "",
            "trouble": self._trouble(reader) if reader else "",
        }
        return HTMLResponse(self._templates.get_template(name).render(**more), status)


def spark(curve: Curve) -> dict[str, str]:
    """The points of a sparkline: `past`, `ahead`, and where now is."""
    steps = len(curve.past) - 1
    room = _WIDTH - 12.0
    top = max(*curve.past, 10.0) * 1.1

    def at(x: float, score: float) -> str:
        return f"{x:.1f},{_HEIGHT - 2 - score / top * (_HEIGHT - 4):.1f}"

    past = [at(room * step / steps, score) for step, score in enumerate(curve.past)]
    after = len(curve.ahead) - 1
    ahead = [at(room + 12.0 * step / after, score) for step, score in enumerate(curve.ahead)]
    x, y = past[-1].split(",")
    return {"past": " ".join(past), "ahead": " ".join(ahead), "x": x, "y": y, "size": f"0 0 {_WIDTH} {_HEIGHT}"}


def _page_of(given: Mapping[str, str]) -> str:
    """On which page a row stands: queue, desk or lead."""
    page = given.get("page", "")
    return page if page in ("desk", "lead") else "queue"


async def _form(request: HttpRequest) -> dict[str, str]:
    """The fields of a form, as browsers send them; what is larger than any of ours is no form."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_FORM_BYTES:
            return {}
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    except UnicodeDecodeError:
        return {}


def _assets() -> dict[str, str]:
    """Static files by name with a mark of their content, so that they can be kept for good."""
    found = {}
    for path in (HERE / "static").rglob("*"):
        if path.suffix in (".css", ".js", ".svg"):
            mark = hashlib.blake2b(path.read_bytes(), digest_size=4).hexdigest()
            found[path.name] = f"/static/{path.relative_to(HERE / 'static').as_posix()}?{mark}"
    return found
