"""The console's composition root: its parts from a configuration, and its graceful end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console import asgi, words
from console.api import Api, Refused, refused
from console.gather import Gather
from console.guard import App, Guard, Receive, Scope, Send
from console.history import Away, History
from console.hub import Hub
from console.live import Live
from console.metrics import Metrics
from console.people import People
from console.reader import Reader as TopicReader
from console.reader import now_ms
from console.redis_history import RedisHistory
from console.saying import Desk, Inbox
from console.sessions import Sessions
from console.site import HERE, Site
from console.stream import Streams
from console.views import Reader
from serving import server
from streams.desk.rules import DeskRules
from streams.rules import Rules

log = structlog.get_logger()

_FOR_GOOD = 31_536_000
_SILENT_MS = 7_000
"""The desk's ticks come every second; a takeover takes up to five."""
_BEHIND_S = 2.0


Follow = Callable[[Callable[[Rules, DeskRules], None]], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """What one console needs to know; read from the environment by the command line, by nobody else."""

    bootstrap: str
    """Kafka's bootstrap servers."""
    redis: str
    """The read side's URL."""
    rules: Rules
    desk_rules: DeskRules
    secret: bytes
    """Sessions are signed with a key made from it; the same for all consoles."""
    passwords: Callable[[], Mapping[str, str]]
    """Person → hash, as it is now."""
    prefix: str = ""
    host: str = "127.0.0.1"
    port: int = 8081
    """0 for any free one."""
    demo_site: str | None = None
    """The URL that /demo shows beside the queue."""
    follow: Follow | None = None
    """Hands over the rules in force, until cancelled; without it those that were given stay."""


class Console:
    """The parts of one console; `app` answers requests once `start` was called."""

    def __init__(
        self,
        config: ConsoleConfig,
        history: History,
        inbox: Inbox,
        reader: TopicReader | None,
        hub: Hub,
        live: Live,
        metrics: Metrics,
    ) -> None:
        self.hub, self.live, self.history, self.reader, self.metrics = hub, live, history, reader, metrics
        self.metrics.listeners.set_function(hub.count)
        self.desk = Desk(inbox, hub)
        self._behind = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._follow = config.follow
        sessions = Sessions(config.secret, config.passwords)
        gather = self._gather = Gather(history, live, config.rules, config.desk_rules)
        people = People(gather, self.desk)
        streams = Streams(hub, gather, self.metrics, self.trouble)
        site = Site(gather, people, self.desk, streams, sessions, config.passwords, self.trouble, config.demo_site)
        self.sessions = sessions
        self.app: App = _timed(
            Guard(
                self._routes(site, Api(gather, people, self.desk, streams)),
                sessions,
                lambda: gather.desk_rules,
                config.demo_site,
            ),
            self.metrics,
        )

    def _routes(self, site: Site, api: Api) -> Starlette:
        async def not_found(request: HttpRequest, error: Exception) -> Response:
            if request.url.path.startswith("/api/"):
                return JSONResponse({"code": "not_found", "message": words.NO_SUCH_PAGE}, HTTPStatus.NOT_FOUND)
            return await site.problem(request, HTTPStatus.NOT_FOUND, words.NO_SUCH_PAGE)

        async def failed(request: HttpRequest, error: Exception) -> Response:
            log.error("a page failed", path=request.url.path, error=repr(error), exc_info=error)
            if request.url.path.startswith("/api/"):
                return JSONResponse({"code": "failed", "message": words.FAILED}, HTTPStatus.INTERNAL_SERVER_ERROR)
            return await site.problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, words.FAILED)

        return Starlette(
            routes=[
                Route("/", site.queue),
                Route("/desk", site.board),
                Route("/leads/{id}", site.lead),
                Route("/search", site.search),
                Route("/demo", site.demo),
                Route("/live", site.live),
                Route("/act", site.act, methods=["POST"]),
                Route("/presence", site.presence, methods=["POST"]),
                Route("/login", site.login, methods=["GET"]),
                Route("/login", site.sign_in, methods=["POST"]),
                Route("/logout", site.sign_out, methods=["POST"]),
                Route("/api/leads", api.leads),
                Route("/api/leads/{id}", api.lead),
                Route("/api/leads/{id}/explain", api.explain),
                Route("/api/leads/{id}/timeline", api.timeline),
                Route("/api/leads/{id}/activities", api.act, methods=["POST"]),
                Route("/api/alerts", api.alerts),
                Route("/api/assignments", api.assignments),
                Route("/api/stream", api.stream),
                Route("/api/reps/{id}/presence", api.presence, methods=["POST"]),
                Route("/healthz", self.healthz),
                Route("/readyz", self.readyz),
                Route("/metrics", self.measures),
                Mount("/static", _Kept(directory=HERE / "static")),
            ],
            exception_handlers={
                HTTPStatus.NOT_FOUND: not_found,
                Refused: refused,
                Away: refused,
                Exception: failed,
            },
        )

    async def start(self) -> None:
        """Begin to read, and to watch whether the history is up to date."""
        if self.reader is not None:
            self.reader.start()
        self._tasks.append(asyncio.create_task(self._watch()))
        if self._follow is not None:
            self._tasks.append(asyncio.create_task(self._follow(self._gather.obey)))

    async def close(self) -> None:
        """End streams, readers and connections."""
        self.hub.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.reader is not None:
            await self.reader.close()
        await self.desk.close()
        await self.history.close()

    def trouble(self, reader: Reader) -> str:
        """What is not as it should be, in words for a reader; empty if all is well."""
        now = now_ms()
        if self.reader is not None and self.reader.away_since is not None:
            return words.KAFKA_AWAY.format(since=words.clock(self.reader.away_since, now, reader.zone))
        said = []
        if self.live.heard and now - self.live.heard > _SILENT_MS:
            said.append(words.DESK_SILENT.format(seconds=(now - self.live.heard) // 1_000 // 5 * 5))
        if self._behind:
            said.append(words.CATCHING_UP.format(why=self._behind))
        return " ".join(said)

    async def healthz(self, request: HttpRequest) -> Response:
        """Alive: this process answers."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, request: HttpRequest) -> Response:
        """Ready: what is live is shown; else 503 and why not.  A history that is behind is no reason."""
        if self.reader is not None and self.reader.away_since is not None:
            return JSONResponse(
                {"status": "not ready", "reason": "Kafka does not answer"}, HTTPStatus.SERVICE_UNAVAILABLE
            )
        return JSONResponse({"status": "ready", "history": self._behind or "up to date"})

    async def measures(self, request: HttpRequest) -> Response:
        """Metrics in Prometheus's text format."""
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def look(self) -> None:
        """See whether the history is up to date."""
        self._behind = await self.history.behind(now_ms())

    async def _watch(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(_BEHIND_S)


class _Kept(StaticFiles):
    """Files whose addresses have a mark of their content, to be kept for good."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = f"public, max-age={_FOR_GOOD}, immutable"
        return response


def make(config: ConsoleConfig) -> Console:
    """A console on Kafka and Redis."""
    live = Live()
    hub = Hub(live.apply)
    metrics = Metrics()
    reader = TopicReader(config.bootstrap, config.prefix, hub, live, metrics)
    history = RedisHistory(config.redis, config.prefix)
    return Console(config, history, Inbox(config.bootstrap, config.prefix), reader, hub, live, metrics)


async def serve(
    config: ConsoleConfig, stop: asyncio.Event | None = None, started: server.Started | None = None
) -> None:
    """Serve until `stop` is set, or SIGTERM or SIGINT come if there is none.

    Neither Kafka nor Redis needs to be there: the pages say what is missing.  Raises StartError when the address cannot
    be used.
    """
    console = make(config)
    with server.listen(config.host, config.port, "HANDRAISE_CONSOLE") as listener:
        await console.start()
        try:
            # Streams would never end by themselves.
            await asgi.serve(console.app, listener, stop, started, console.hub.close)
        finally:
            await console.close()


def run(config: ConsoleConfig, started: server.Started | None = None) -> None:
    """`serve` in an event loop of its own: a process that is a console and nothing else."""
    server.tune_collector()
    uvloop.run(serve(config, started=started))


def _timed(app: App, metrics: Metrics) -> App:
    """Measure how long answers take, streams left out."""

    async def measured(scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        await app(scope, receive, send)
        path = scope.get("route").path if scope.get("route") else ""  # type: ignore[union-attr]
        if path and path not in ("/live", "/api/stream"):
            metrics.page_seconds.labels(path).observe(time.perf_counter() - begun)

    return measured
