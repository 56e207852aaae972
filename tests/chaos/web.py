"""The load over HTTP: visitors' events from clients that retry as tracker SDKs do, through two gateways.

A client keeps its connection, sends batches, and sends a batch again, with the same message ids, after an error of the
connection, 429 and 5xx, each time a little later, to the other gateway.  What it was answered 200 for it forgets.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx
import msgspec

from streams.identity import event_id
from tests.e2e.story import DAY_MS, SOURCE, Act, iso, segment, story

CLIENTS = 16
MOST_IN_BATCH = 40
PATIENCE_S = 15.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 3.0
ASKS = ("demo_request", "contact_request")
ONE_ASKS_OF = 4
"""One of so many forms that ask to be contacted does so now; the rest is another form."""
ONE_BAD_OF = 500
"""One of so many events has no name, so that it must be rejected."""


class Message(NamedTuple):
    """A call of the protocol, and what it is known by: event id, and message id if it must be rejected."""

    id: bytes
    body: bytes | Act
    """The act of whoever asks to be contacted: its time is when it is sent."""
    bad: str = ""


def message(act: Act) -> Message:
    """What a tracker says of an act."""
    body: bytes | Act = act
    if act.kind in ASKS and act.number % ONE_ASKS_OF:
        act = replace(act, kind="form_submit")
    if act.kind not in ASKS:
        body = msgspec.json.encode(_call(act, act.at_ms))
    return Message(event_id(SOURCE, act.message_id), body)


def _call(act: Act, at_ms: int) -> dict[str, Any]:
    call = segment(act)
    del call["sentAt"]
    call["timestamp"] = call["originalTimestamp"] = iso(at_ms)
    return call


def _nameless(number: int) -> Message:
    name = f"nameless-{number}"
    call = {"type": "track", "messageId": name, "anonymousId": name}
    return Message(event_id(SOURCE, name), msgspec.json.encode(call), name)


class Web:
    """So many events of so many visitors, over so many seconds."""

    def __init__(self, gateways: Sequence[str], seed: int, events: int, visitors: int, seconds: float) -> None:
        self._gateways, self._seed, self._events = gateways, seed, events
        self._visitors, self._seconds = visitors, seconds
        self._messages: list[Message] = []
        self._next = 0
        self.people: dict[bytes, str] = {}
        """Who did what, by the events' ids."""
        self.answered: set[bytes] = set()
        """The ids of the events that a gateway answered 200 for."""
        self.rejected: set[str] = set()
        """The message ids of those that it could not use."""
        self.answers: Counter[str] = Counter()
        """What clients were answered, and what went wrong instead."""

    def prepare(self) -> None:
        """Make the messages: seconds of work that must not hold up what comes later."""
        now_ms = int(time.time() * 1000)
        each = round(1.7 * self._events / self._visitors)
        told = story(self._seed + 2, self._visitors, now_ms - 3 * DAY_MS, 3, each)
        acts = list(itertools.islice(told, self._events))
        assert len(acts) == self._events
        signed_in = {act.anonymous_id for act in acts if (act.user_id or act.email) and not act.bot}
        for number, act in enumerate(acts):
            self._messages.append(said := message(act))
            if not act.bot:
                self.people[said.id] = act.visitor if act.anonymous_id in signed_in else act.anonymous_id
            if number % ONE_BAD_OF == 0:
                self._messages.append(_nameless(number))

    async def run(self, may_end: asyncio.Event) -> None:
        """Send all at a steady pace, but the last hundredth only once it may end."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._client(number, started, may_end))

    async def _client(self, number: int, started: float, may_end: asyncio.Event) -> None:
        chance = random.Random(f"client {self._seed} {number}")
        last = len(self._messages) - len(self._messages) // 100
        gateways = itertools.cycle(self._gateways[number % 2 :] + self._gateways[: number % 2])
        async with httpx.AsyncClient(timeout=PATIENCE_S, auth=("demo", "")) as http:
            while self._next < len(self._messages):
                if self._next >= last:
                    await may_end.wait()
                batch = self._messages[self._next : self._next + chance.randint(1, MOST_IN_BATCH)]
                due_s = started + self._seconds * self._next / len(self._messages)
                self._next += len(batch)
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                await self._send(http, batch, gateways, chance)

    async def _send(
        self, http: httpx.AsyncClient, batch: list[Message], gateways: Iterator[str], chance: random.Random
    ) -> None:
        """Send it until it is taken."""
        now_ms = int(time.time() * 1000)
        bodies = (msgspec.json.encode(_call(it.body, now_ms)) if isinstance(it.body, Act) else it.body for it in batch)
        calls = b",".join(bodies)
        gateway, pause_s = next(gateways), FIRST_PAUSE_S
        while not await self._is_taken(http, gateway, calls):
            await asyncio.sleep(pause_s * chance.uniform(0.5, 1.0))
            gateway, pause_s = next(gateways), min(2 * pause_s, LONGEST_PAUSE_S)
        self.answered.update(it.id for it in batch if not it.bad)
        self.rejected.update(it.bad for it in batch if it.bad)

    async def _is_taken(self, http: httpx.AsyncClient, gateway: str, calls: bytes) -> bool:
        content = b'{"batch":[%b],"sentAt":"%b"}' % (calls, iso(int(time.time() * 1000)).encode())
        try:
            answer = await http.post(f"{gateway}/v1/batch", content=content)
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return False
        self.answers[str(answer.status_code)] += 1
        again = answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.status_code >= 500
        assert again or answer.status_code == HTTPStatus.OK, answer.text
        return not again
