"""What the gateway has answered 200 is in Kafka, whoever is killed; and it waits for Kafka without growing."""

import asyncio
import base64
import itertools
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from deploy.local import Kafka
from deploy.probe import free_port
from tests.gateway.broker import create_topics, engagements
from tests.gateway.process import Running, gateway
from tests.gateway.sockets import Answer, Client

SEED = int(os.environ.get("HANDRAISE_CHAOS_SEED", "1"))
AUTH = b"authorization: Basic " + base64.b64encode(b"demo:") + b"\r\n"
POSTERS = 8
KILLED = -signal.SIGKILL


class Poster:
    """A tracker that posts one event after the other, each again until it is answered 200, and keeps a log."""

    def __init__(self, name: str, port: int, words: str = "") -> None:
        self._name, self._port, self._words = name, port, words
        self.acknowledged: list[str] = []
        self.refused = 0
        self.unanswered = 0
        self.stopped = False

    async def run(self) -> None:
        """Post until told to stop; the last event is answered."""
        client: Client | None = None
        numbers = itertools.count()
        message_id = ""
        while message_id or not self.stopped:
            message_id = message_id or f"{self._name}-{next(numbers)}"
            try:
                client = client or await Client.open(self._port)
                answer = await client.post(b"/v1/page", AUTH, self._body(message_id))
            except (OSError, asyncio.IncompleteReadError):
                self.unanswered += 1
                client = client and client.close()
                await asyncio.sleep(0.02)
                continue
            message_id = "" if self._done(answer, message_id) else message_id
        if client is not None:
            client.close()

    def _body(self, message_id: str) -> bytes:
        event = {"messageId": message_id, "anonymousId": self._name, "properties": {"words": self._words}}
        return json.dumps(event).encode()

    def _done(self, answer: Answer, message_id: str) -> bool:
        if answer.status == 200:
            self.acknowledged.append(message_id)
            return True
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        self.refused += 1
        return False


async def until(condition: Callable[[], bool], deadline_s: float = 60) -> None:
    """Return when it is true."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110  the condition is the world's, nobody sets an event for it
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("kills", [3, pytest.param(150, marks=pytest.mark.chaos_long)])
async def test_sigkill_at_any_moment_loses_nothing_acknowledged(kafka: str, prefix: str, kills: int) -> None:
    """The gateway is killed again and again while it answers: all it has answered 200 is in Kafka, in order."""
    await create_topics(kafka, prefix)
    dice, port = random.Random(SEED), free_port()
    posters = [Poster(f"p{number}", port) for number in range(POSTERS)]
    tasks = [asyncio.create_task(poster.run()) for poster in posters]
    for _ in range(kills):
        with gateway(bootstrap=kafka, prefix=prefix, port=port, ends_with=KILLED) as running:
            goal = sum(len(poster.acknowledged) for poster in posters) + dice.randrange(1, 400)
            await until(lambda goal=goal: sum(len(poster.acknowledged) for poster in posters) >= goal)
            running.child.kill()
            await asyncio.to_thread(running.child.wait)
    with gateway(bootstrap=kafka, prefix=prefix, port=port):
        for poster in posters:
            poster.stopped = True
        await asyncio.gather(*tasks)
    counts = Counter(each.message_id for each in await engagements(kafka, prefix))
    for poster in posters:
        assert [each for each in poster.acknowledged if not counts[each]] == []
        mine = [each for each in counts if each.startswith(f"{poster._name}-")]  # in the order of their first arrival
        assert mine == poster.acknowledged
    # An event may be there twice if its answer was lost: at most one for each poster and kill.
    assert counts.total() - len(counts) <= kills * POSTERS


@pytest.mark.parametrize("away_s", [10, pytest.param(600, marks=pytest.mark.chaos_long)])
async def test_kafka_away_under_load(own_kafka: Callable[..., Kafka], prefix: str, away_s: float) -> None:
    """Kafka hangs, then is shut down, while everybody posts as fast as they can: 503, not ready, memory bounded.

    When it is back the same process goes on by itself, and nothing that was acknowledged is missing.
    """
    broker, buffer_bytes = own_kafka(), 8 << 20
    await create_topics(broker.bootstrap, prefix)
    loop, most = asyncio.get_running_loop(), 0.0
    with gateway(bootstrap=broker.bootstrap, prefix=prefix, buffer_bytes=buffer_bytes, patience_s=2.0) as running:
        posters = [Poster(f"p{number}", running.port, "x" * 20_000) for number in range(64)]
        tasks = [asyncio.create_task(poster.run()) for poster in posters]

        def acknowledged() -> int:
            return sum(len(poster.acknowledged) for poster in posters)

        await until(lambda: acknowledged() > 500)
        before = running.rss_mib()
        pid = broker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        gone, back = loop.time() + away_s / 2, loop.time() + away_s
        await until(lambda: all(poster.refused for poster in posters))
        assert await _ready(running) == 503
        while loop.time() < back:
            if loop.time() > gone and broker.pid is not None:
                os.kill(pid, signal.SIGCONT)
                await asyncio.to_thread(broker.stop)  # which tells clients that partitions have no leader any more
            most = max(most, running.rss_mib())
            await asyncio.sleep(0.1)
        assert await _ready(running) == 503
        # Rows and bodies have a bound each; what a row costs beside its bytes, and the allocator's slack, come on top.
        assert most - before < 4 * buffer_bytes / 2**20 + 24
        await asyncio.to_thread(broker.start)
        at_the_worst = acknowledged()
        await until(lambda: acknowledged() > at_the_worst + 500)
        assert await _ready(running) == 200
        for poster in posters:
            poster.stopped = True
        await asyncio.gather(*tasks)
    found = {each.message_id for each in await engagements(broker.bootstrap, prefix)}
    assert {each for poster in posters for each in poster.acknowledged} <= found


async def _ready(running: Running) -> int:
    async with Client.connect(running.port) as client:
        await client.send(b"GET /readyz HTTP/1.1\r\n\r\n")
        return (await client.answer()).status
