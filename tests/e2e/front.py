"""A plain TCP front before several gateways, as load balancers are: it follows /readyz, and knows nothing of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections import Counter

import httpx

_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Z]")
_LOOK_S = 0.1
"""Between two looks at a gateway."""
_PIECE = 65_536


class Front:
    """Takes connections on a port of its own, and gives each to the next gateway that is ready."""

    def __init__(self, gateways: list[str]) -> None:
        self._gateways = gateways
        self._ready: list[str] = []
        self._turn = 0
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.port = 0
        self.statuses: Counter[int] = Counter()
        """Of the answers that went through."""
        self.lost = 0
        """Connections for which there was no gateway."""

    def __enter__(self) -> Front:
        self._thread.start()
        assert self._started.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    @property
    def url(self) -> str:
        """Where SDKs send."""
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> int:
        """How many gateways it gives connections to."""
        return len(self._ready)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        looking = asyncio.create_task(self._look())
        self._started.set()
        await self._stop.wait()
        looking.cancel()
        server.close()

    async def _look(self) -> None:
        async with httpx.AsyncClient(timeout=2) as client:
            while True:
                self._ready = [each for each in self._gateways if await _answers(client, each)]
                await asyncio.sleep(_LOOK_S)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(len(self._ready)):
            self._turn += 1
            host, port = self._ready[self._turn % len(self._ready)].removeprefix("http://").split(":")
            with contextlib.suppress(OSError):
                there = await asyncio.open_connection(host, int(port))
                await asyncio.gather(self._pass_on(reader, there[1]), self._pass_on(there[0], writer, answers=True))
                return
        self.lost += 1
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool = False) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):  # the latter at the front's own end
            while data := await reader.read(_PIECE):
                if answers:
                    self.statuses.update(int(status) for status in _STATUS_LINE.findall(data))
                writer.write(data)
                await writer.drain()
        writer.close()


async def _answers(client: httpx.AsyncClient, gateway: str) -> bool:
    try:
        return (await client.get(f"{gateway}/readyz")).status_code == 200
    except httpx.HTTPError:
        return False
