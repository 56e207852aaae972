"""People at the console: they look who waits for them, take requests and say what became of them, again if need be."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from http import HTTPStatus

import httpx

from console.sessions import COOKIE, Sessions
from tests.e2e.story import SECRET

PATIENCE_S = 10.0
LOOKS_EVERY_S = 1.0
TAKEN_DOWN = (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT)
"""Done, on its way, or refused by the desk."""
STEPS = ("accept", "contacted", "contacted", "attempted")


class Rep:
    """A person whose browser is signed in."""

    def __init__(self, console: str, name: str, seed: int, now_ms: int) -> None:
        self.name = name
        self.said: set[str] = set()
        """The ids of the activities of which the console said that they are taken down."""
        self.answers: Counter[str] = Counter()
        self._console, self._chance = console, random.Random(f"{name} {seed}")
        self._cookie = Sessions(SECRET, dict).begin(name, now_ms)

    async def work(self, over: asyncio.Event) -> None:
        """Until it is over: look at one's requests, and do one step about one of them."""
        cookies = {COOKIE: self._cookie}
        async with httpx.AsyncClient(base_url=self._console, cookies=cookies, timeout=PATIENCE_S) as http:
            while not over.is_set():
                await self._look(http)
                await asyncio.sleep(LOOKS_EVERY_S)

    async def _look(self, http: httpx.AsyncClient) -> None:
        found = await self._ask(http, "GET", f"/api/assignments?owner={self.name}", None)
        mine = found.json()["assignments"] if found is not None and found.status_code == HTTPStatus.OK else []
        if not mine:
            return
        one = self._chance.choice(mine)
        id = f"{self.name}-{self._chance.getrandbits(64):016x}"
        step = {"kind": self._chance.choice(STEPS), "request_id": one["request_id"], "activity_id": id}
        for _ in range(5):
            answer = await self._ask(http, "POST", f"/api/leads/{one['lead_id']}/activities", step)
            if answer is not None and answer.status_code in TAKEN_DOWN:
                self.said.add(id)
                return
            await asyncio.sleep(LOOKS_EVERY_S)

    async def _ask(
        self, http: httpx.AsyncClient, method: str, path: str, body: dict[str, str] | None
    ) -> httpx.Response | None:
        try:
            answer = await http.request(method, path, json=body, headers={"origin": self._console})
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return None
        self.answers[str(answer.status_code)] += 1
        return answer
