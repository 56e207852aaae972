"""HTTP clients that know what they send to the byte, and do what no library would."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple


class Answer(NamedTuple):
    """An answer of a server."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A connection to a server on this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Client":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @classmethod
    @asynccontextmanager
    async def connect(cls, port: int) -> AsyncIterator["Client"]:
        """Connect; the connection is closed with the block."""
        client = await cls.open(port)
        try:
            yield client
        finally:
            client.close()

    async def post(self, path: bytes, headers: bytes, body: bytes) -> Answer:
        """Post, and the answer; `headers` are lines with their ends."""
        head = b"POST %b HTTP/1.1\r\nhost: gateway\r\n%bcontent-length: %d\r\n\r\n" % (path, headers, len(body))
        await self.send(head + body)
        return await self.answer()

    async def send(self, data: bytes) -> None:
        """Send bytes.  Raises ConnectionError if the server has ended the connection."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, *, body: bool = True) -> Answer:
        """The next answer, which has a body unless it is one to HEAD; fails when none comes in 20 s."""
        async with asyncio.timeout(20):
            first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            said = await self._reader.readexactly(int(headers.get("content-length", 0)) if body else 0)
        return Answer(int(first.split()[1]), headers, said)

    async def rest(self) -> bytes:
        """What comes until the server ends the connection, in whatever way; fails when it does not in 20 s."""
        said = b""
        try:
            async with asyncio.timeout(20):
                while data := await self._reader.read(65_536):
                    said += data
        except OSError:  # uvloop says so of a connection that was reset: "not connected"
            pass
        return said

    def read_nothing(self) -> None:
        """Leave whatever the server says in its buffers."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def send_no_more(self) -> None:
        """Close the connection on this side only."""
        self._writer.write_eof()

    def close(self) -> None:
        """End it."""
        self._writer.close()


@contextmanager
def listening_socket() -> Iterator[socket.socket]:
    """A socket on any free port of this machine."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen(2048)
        yield made
