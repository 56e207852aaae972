"""A console in this process: the real desk decides, the history is in memory, and Kafka is a list."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

from console import passwords
from console.hub import Hub, Place
from console.live import Live
from console.metrics import Metrics
from console.reader import now_ms
from console.saying import Unavailable
from console.server import Console, ConsoleConfig, Follow
from console.sessions import COOKIE
from schemas.codec import decode, encode
from schemas.records import Assignment, Notice, RaisedHand, Record
from streams.rules import load as load_rules
from tests.console.memory import MemoryHistory
from tests.e2e.deployment import ROOT
from tests.e2e.test_desk import ALWAYS, roster
from tests.oracle.replay import Record as LogRecord
from tests.streams.desk.harness import SHIPPED, Box, hand

SECRET = b"the console's secret in tests"
PASSWORD = "correct horse battery"
HASH = passwords.make(PASSWORD)
ORIGIN = "http://console.example"
FILES = {**SHIPPED, "roster.toml": roster(ALWAYS)}
RULES = load_rules({name: (ROOT / "rules" / name).read_text() for name in ("model.toml", "alerts.toml")})


class Event(NamedTuple):
    """One event of a stream."""

    name: str
    id: str
    data: str

    def json(self) -> Any:
        """Its data, parsed."""
        return json.loads(self.data)


class Kafka:
    """The desk's inbox: a list that the desk folds at once; everybody hears what comes of it."""

    def __init__(self, hub: Hub, history: MemoryHistory) -> None:
        self.box = Box(files=FILES)
        self.hub, self.history = hub, history
        self.away = self.mute = self.quiet = False
        """Kafka does not answer; nobody folds the inbox; nobody hears what is said."""
        self.offset = 0

    async def append(self, value: bytes) -> int:
        """Take a record into the inbox, as the console's own does."""
        if self.away:
            raise Unavailable("away")
        return self.write(decode(value))

    def write(self, record: Record) -> int:
        """Append a record, show it, fold it, and show what comes of it; its offset."""
        offset, self.offset = self.offset, self.offset + 1
        id = record.request_id if isinstance(record, RaisedHand) else f"desk.events-0-{offset}"
        self.show(id, record, "desk.events", offset)
        if not self.mute:
            before = len(self.box.outputs)
            self.box.feed([LogRecord(offset, now_ms(), None, encode(record))])
            for n, output in enumerate(self.box.outputs[before:]):
                said = decode(output.value)
                if isinstance(said, Assignment):
                    self.show(f"0-{said.source_offset}-{said.request_id}", said, output.topic, 100 * offset + n)
                elif isinstance(said, Notice):
                    self.show(said.notice_id, said, output.topic, 100 * offset + n)
        return offset

    def show(self, id: str, record: Record, topic: str, offset: int) -> None:
        """Everybody hears it, and it is history."""
        self.history.tell(record)
        if not self.quiet:
            self.hub.show(id, record, Place(topic, 0, offset), now_ms(), transactional=topic != "desk.events")

    async def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class World:
    """A console and what it stands on."""

    site: str | None = None
    history: MemoryHistory = field(default_factory=MemoryHistory)
    follow: Follow | None = None

    def __post_init__(self) -> None:
        self.live = Live()
        self.hub = Hub(self.live.apply)
        self.kafka = Kafka(self.hub, self.history)
        config = ConsoleConfig(
            bootstrap="nowhere:1",
            redis="redis://nowhere",
            rules=RULES,
            desk_rules=self.kafka.box.rules,
            secret=SECRET,
            passwords=lambda: dict.fromkeys(("ana", "ben", "mert", "zoe"), HASH),
            demo_site=self.site,
            follow=self.follow,
        )
        self.console = Console(config, self.history, self.kafka, None, self.hub, self.live, Metrics())  # type: ignore[arg-type]

    def browser(self, rep: str | None = None, **headers: str) -> httpx.AsyncClient:
        """Somebody's browser on the console; signed in if `rep` is given."""
        cookies = {COOKIE: self.console.sessions.begin(rep, now_ms())} if rep else {}
        transport = httpx.ASGITransport(app=self.console.app, raise_app_exceptions=False)
        return httpx.AsyncClient(
            transport=transport, base_url=ORIGIN, cookies=cookies, headers={"origin": ORIGIN, **headers}
        )

    def raise_hand(self, number: int = 1, **changes: Any) -> RaisedHand:
        """Somebody asks to be called, now."""
        at = now_ms()
        made = hand(number, at=at, **changes)
        self.kafka.write(made)
        return made

    async def act(self, rep: str, kind: str, request_id: str, **more: str) -> httpx.Response:
        """Press a button on the page."""
        async with self.browser(rep, **{"hx-request": "true"}) as browser:
            return await browser.post("/act", data={"kind": kind, "request_id": request_id, **more})

    @asynccontextmanager
    async def listening(self, rep: str | None, path: str, last_event_id: str = "") -> AsyncIterator[Stream]:
        """Somebody who listens to a stream."""
        stream = Stream()
        cookie = f"{COOKIE}={self.console.sessions.begin(rep, now_ms())}" if rep else ""
        headers = [(b"cookie", cookie.encode()), (b"host", b"console.example")]
        if last_event_id:
            headers.append((b"last-event-id", last_event_id.encode()))
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": headers,
            "scheme": "http",
            "server": ("console.example", 80),
            "client": ("127.0.0.1", 1),
            "root_path": "",
        }
        task = asyncio.create_task(self.console.app(scope, stream.receive, stream.send))  # type: ignore[arg-type]
        try:
            yield stream
        finally:
            stream.left.set()
            await asyncio.wait_for(task, 5)


class Stream:
    """The events of a stream, as they come."""

    def __init__(self) -> None:
        self.status = 0
        self.left = asyncio.Event()
        self._text = ""
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    async def receive(self) -> MutableMapping[str, Any]:
        """What a server says to an application: the client leaves."""
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """What an application says to a server."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self._text += message.get("body", b"").decode().replace("\r\n", "\n")
        while "\n\n" in self._text:
            block, _, self._text = self._text.partition("\n\n")
            lines = [line.partition(":") for line in block.split("\n")]
            fields: dict[str, list[str]] = {}
            for name, _, value in lines:
                fields.setdefault(name, []).append(value.removeprefix(" "))
            if "event" in fields:
                id = fields.get("id", [""])[0]
                self._events.put_nowait(Event(fields["event"][0], id, "\n".join(fields.get("data", []))))

    async def next(self, *names: str) -> Event:
        """The next event of these names."""
        async with asyncio.timeout(5):
            while True:
                event = await self._events.get()
                if event.name in names:
                    return event

    def rest(self) -> list[Event]:
        """What has come and was not looked at."""
        found = []
        while not self._events.empty():
            found.append(self._events.get_nowait())
        return found
