"""What the gateway serves beside the ingest paths: health, metrics, settings, and Segment's own browser build."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.appender import Appender
from gateway.metrics import Metrics
from gateway.problem import Problem
from gateway.sources import Sources

# The build looks for its parts and its settings where it was loaded from, but knows that place only if it is https.
# Segment's own CDN says it in the same way, by a line before the build.
_PROLOGUE = (
    b"(function(){var s=document.currentScript,a=window.analytics=window.analytics||[];"
    b"if(s&&s.src&&!a._cdn){a._cdn=new URL(s.src).origin}})();\n"
)
_KEY_PLACE = b"__WRITE_KEY__"
_SCRIPT = "text/javascript; charset=utf-8"


class BrowserBuild:
    """Segment's browser build on disk: the script, and the parts that it loads when it needs them."""

    def __init__(self, script: Path) -> None:
        self._script = script
        self._parts = {path.name: path for path in script.parent.glob("*.bundle.*.js")}
        self._bytes: bytes | None = None

    def script(self, write_key: str) -> bytes:
        """The script for a write key.  Raises Problem (503) if it is not installed."""
        if self._bytes is None:
            try:
                self._bytes = self._script.read_bytes()
            except OSError as error:
                what = f"Segment's browser build is not installed: {error.strerror}"
                raise Problem(
                    HTTPStatus.SERVICE_UNAVAILABLE, "no_browser_build", what, str(self._script), "run `make setup`"
                ) from None
        return _PROLOGUE + self._bytes.replace(_KEY_PLACE, write_key.encode(), 1)

    def part(self, name: str) -> bytes | None:
        """A part by its file name; None if there is none of this name."""
        path = self._parts.get(name)
        return path.read_bytes() if path is not None else None


class Pages:
    """The handlers, over what they show."""

    def __init__(
        self, sources: Sources, appender: Appender, metrics: Metrics, build: BrowserBuild, stop: asyncio.Event
    ) -> None:
        self._stop = stop
        self._sources, self._appender, self._metrics, self._build = sources, appender, metrics, build

    def app(self) -> Starlette:
        """The application for all paths that are not for ingest."""
        return Starlette(
            routes=[
                Route("/healthz", self.healthz),
                Route("/readyz", self.readyz),
                Route("/metrics", self.metrics),
                Route("/v1/projects/{key}/settings", self.settings),
                Route("/analytics.js/v1/{key}/analytics.min.js", self.script),
                Route("/analytics-next/bundles/{name}", self.part),
            ],
            exception_handlers={Problem: _problem, HTTPStatus.NOT_FOUND: _not_found},
        )

    async def healthz(self, request: Request) -> Response:
        """Alive: this process answers."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Ready: events can be stored, and the gateway stays; else 503 and why not."""
        why = "the gateway is ending" if self._stop.is_set() else await self._appender.ready()
        if why is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": why}, HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, request: Request) -> Response:
        """Metrics in Prometheus's text format."""
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def settings(self, request: Request) -> Response:
        """What Segment's browser SDK asks for at its start: where to send, and that no other integration is there."""
        key = self._known(request)
        settings = {
            "integrations": {
                "Segment.io": {
                    "apiKey": key,
                    "apiHost": f"{request.url.netloc}/v1",
                    "protocol": self._scheme(request),
                    "unbundledIntegrations": [],
                    "addBundledMetadata": True,
                    "maybeBundledConfigIds": {},
                    "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
                    # Posts then survive the end of the page, as sales pages end often: by a click on a link.
                    "deliveryStrategy": {"config": {"keepalive": True}},
                }
            },
            "plan": {
                kind: {"__default": {"enabled": True, "integrations": {}}} for kind in ("track", "identify", "group")
            },
            "edgeFunction": {},
            "analyticsNextEnabled": True,
            "middlewareSettings": {},
            "enabledMiddleware": {},
            "metrics": {"sampleRate": 0},
            "legacyVideoPluginsEnabled": False,
            "remotePlugins": [],
        }
        return Response(json.dumps(settings), media_type="application/json", headers=self._shared(request, 120))

    async def script(self, request: Request) -> Response:
        """Segment's browser build with the write key in it."""
        script = self._build.script(self._known(request))
        return Response(script, media_type=_SCRIPT, headers=self._shared(request, 3600))

    async def part(self, request: Request) -> Response:
        """A part of the build that it loads on demand; its name has the hash of what is in it."""
        part = self._build.part(name := request.path_params["name"])
        if part is None:
            what = "the browser build has no such part"
            raise Problem(HTTPStatus.NOT_FOUND, "not_found", what, name[:200], "load what the served build asks for")
        return Response(part, media_type=_SCRIPT, headers=self._shared(request, 31_536_000))

    def _known(self, request: Request) -> str:
        key: str = request.path_params["key"]
        if self._sources.get(key) is None:
            what = f'no source has the write key "{key[:128]}"'
            remedy = "use the write key of a source in rules/sources.toml"
            raise Problem(HTTPStatus.UNAUTHORIZED, "unknown_write_key", what, "the path", remedy)
        return key

    def _scheme(self, request: Request) -> str:
        forwarded = request.headers.get("x-forwarded-proto", "")
        if forwarded in ("http", "https") and request.client and self._sources.trust(request.client.host):
            return forwarded
        return request.url.scheme

    def _shared(self, request: Request, max_age_s: int) -> dict[str, str]:
        headers = {"cache-control": f"public, max-age={max_age_s}", "vary": "Origin"}
        origin = request.headers.get("origin")
        if origin and self._sources.allow(origin):
            headers["access-control-allow-origin"] = origin
        return headers


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  the handler is registered for Problem alone
    return Response(error.body(), error.status, media_type="application/json")


async def _not_found(request: Request, error: Exception) -> Response:
    what, where = "there is nothing at this path", request.url.path[:200]
    remedy = "send events to /v1/batch, or to /v1/track, page, screen, identify, group, alias"
    problem = Problem(HTTPStatus.NOT_FOUND, "not_found", what, where, remedy)
    return Response(problem.body(), problem.status, media_type="application/json")
