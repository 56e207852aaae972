"""A rep's browser, as far as measuring needs one: signs in by a one-time link and listens to the console's stream."""

from __future__ import annotations

import asyncio
import contextlib
import http.cookies
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from handraise.failure import CHECK_FAILED, Failure
from handraise.settings import Address

_PATIENCE_S = 10.0
_AGAIN_S = 0.5


async def shown(console: Address, link: str) -> AsyncIterator[dict[str, Any]]:
    """Every assignment that the console shows, as it comes; connects anew when the stream ends.  Raises Failure.

    `link`: a one-time link that signs somebody in.
    """
    try:
        async with asyncio.timeout(_PATIENCE_S), _get(console, link) as (head, _):
            cookies = http.cookies.SimpleCookie(head.get("set-cookie", ""))
    except (OSError, TimeoutError) as error:
        raise _silent(console, repr(error)) from error
    if not cookies:
        raise _silent(console, "it signs nobody in")
    cookie = "; ".join(f"{name}={each.value}" for name, each in cookies.items())
    while True:
        with contextlib.suppress(OSError):
            async with _get(console, "/api/stream", cookie) as (_, lines):
                async for line in lines:
                    if line.startswith(b"data:") and "assignment" in (data := json.loads(line[5:])):
                        yield data["assignment"]
        await asyncio.sleep(_AGAIN_S)


@contextlib.asynccontextmanager
async def _get(
    console: Address, url: str, cookie: str = ""
) -> AsyncIterator[tuple[dict[str, str], asyncio.StreamReader]]:
    """The headers of the answer, and the lines of its body; HTTP/1.0, so that no chunks cut the lines."""
    reader, writer = await asyncio.open_connection(*console)
    try:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {console}\r\nCookie: {cookie}\r\n\r\n".encode())
        await reader.readline()
        head: dict[str, str] = {}
        while line := (await reader.readline()).decode("latin-1").strip():
            name, _, value = line.partition(":")
            head[name.lower()] = value.strip()
        yield head, reader
    finally:
        writer.close()


def _silent(console: Address, why: str) -> Failure:
    return Failure(f"the console does not answer: {why}", f"http://{console}", "read its log", CHECK_FAILED)
