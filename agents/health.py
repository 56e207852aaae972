"""A tiny HTTP server for /metrics, /healthz and /readyz; the workers serve nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_PATIENCE_S = 5.0
_TEXT = "text/plain; charset=utf-8"


class HealthServer:
    """Answers supervisors and Prometheus.

    /healthz is 200 while the event loop runs (what is stuck ends its process by itself); /readyz is 200 when `reasons`
    is empty, else 503 with one reason per line.
    """

    def __init__(self, registry: CollectorRegistry, reasons: Callable[[], list[str]]) -> None:
        self._registry, self._reasons = registry, reasons
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; port 0 takes a free one. Returns the port. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=8192)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE_S)
            status, content_type, body = self._answer(head)
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
                "Connection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked does not listen, or does not speak HTTP
        finally:
            writer.close()

    def _answer(self, head: bytes) -> tuple[str, str, bytes]:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return "405 Method Not Allowed", _TEXT, b"only GET here\n"
        if path == b"/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest(self._registry)
        if path == b"/healthz":
            return "200 OK", _TEXT, b"alive\n"
        if path == b"/readyz":
            reasons = self._reasons()
            if reasons:
                return "503 Service Unavailable", _TEXT, "".join(f"{reason}\n" for reason in reasons).encode()
            return "200 OK", _TEXT, b"ready\n"
        return "404 Not Found", _TEXT, b"try /metrics, /healthz or /readyz\n"
