"""A gateway in a process of its own, under requests that nobody means well."""

import asyncio
import contextlib
import os
import random
import re
import resource
import socket

import pytest

from tests.gateway.alone import Alone, alone
from tests.gateway.fuzzing import mutated, request
from tests.gateway.sockets import Client
from tests.gateway.test_connection import GOOD, until

EXPECTED = {200, 204, 400, 401, 403, 404, 405, 408, 431}
CLIENTS = 8
RAW_SHARE = 0.25
"""Of requests whose bytes are mutated as a whole."""
_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Z]")
SEED = int(os.environ.get("HANDRAISE_CHAOS_SEED", "1"))


class Fuzzer:
    """Sends what the dice say; says which requests were answered in a way that they must not be."""

    def __init__(self, running: Alone) -> None:
        self._running = running
        self.statuses: dict[int, int] = {}
        self.faults: list[bytes] = []

    async def send(self, count: int, seed: int) -> None:
        """Send so many requests over CLIENTS connections at a time."""
        await asyncio.gather(*(self._send(count // CLIENTS, random.Random(f"{seed} {n}")) for n in range(CLIENTS)))

    async def _send(self, count: int, dice: random.Random) -> None:
        left = count
        while left > 0:
            async with Client.connect(self._running.port) as client:
                if dice.random() < RAW_SHARE:
                    left -= await self._raw(client, dice)
                else:
                    left -= await self._kept(client, dice, min(left, 10))

    async def _kept(self, client: Client, dice: random.Random, count: int) -> int:
        """Well-formed requests on one connection; each is answered."""
        for sent in range(count):
            asked = request(dice)
            await client.send(asked.data)
            answer = await client.answer(body=asked.method != "HEAD")
            self._note(answer.status, asked.data)
            if answer.headers.get("connection") == "close":
                return sent + 1
        return count

    async def _raw(self, client: Client, dice: random.Random) -> int:
        """Mutated bytes in pieces; whatever they are, the connection comes to its end."""
        count = dice.choice((1, 1, 1, 3, 10))
        data = mutated(b"".join(request(dice).data for _ in range(count)), dice)
        pieces = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice((0, 1, 5))))
        with contextlib.suppress(OSError):
            for start, end in zip([0, *pieces], [*pieces, len(data)], strict=True):
                await client.send(data[start:end])
            client.send_no_more()
        said = await client.rest()
        for status in _STATUS_LINE.findall(said):
            self._note(int(status), data)
        return count

    def _note(self, status: int, data: bytes) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status not in EXPECTED and status != 100:
            self.faults.append(data)


@pytest.mark.parametrize(
    ("count", "growth_mib"), [(10_000, 40), pytest.param(1_000_000, 120, marks=pytest.mark.chaos_long)]
)
async def test_garbage_does_no_harm(count: int, growth_mib: float) -> None:
    """Mutated bodies and mutated bytes: no 500, nothing in the log, no growth, and still serving."""
    with alone() as running:
        fuzzer = Fuzzer(running)
        await fuzzer.send(count // 4, SEED)
        before, files = running.rss_mib(), running.descriptors()
        await fuzzer.send(count - count // 4, SEED + 1)
        assert fuzzer.faults == [], fuzzer.statuses
        assert running.log() == ""
        assert running.rss_mib() < before + growth_mib
        assert running.descriptors() <= files + CLIENTS
        assert min(fuzzer.statuses[status] for status in (200, 400, 401, 403, 404, 405)) > count / 2000, fuzzer.statuses
        async with Client.connect(running.port) as client:
            await client.send(GOOD)
            assert (await client.answer()).status == 200


async def test_ten_thousand_idle_connections_do_no_harm() -> None:
    """They take little memory each, others are served meanwhile, and the idle ones still are when they come back."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(10_000, hard - 500)
    with alone(idle_s=120, head_s=120) as running, contextlib.ExitStack() as stack:
        before = running.rss_mib()
        idle = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in idle:
            each.connect(("127.0.0.1", running.port))
        idle[0].sendall(GOOD)
        assert idle[0].recv(1000).startswith(b"HTTP/1.1 200")
        for _ in range(50):
            async with Client.connect(running.port) as client:
                await client.send(GOOD)
                assert (await client.answer()).status == 200
        assert running.descriptors() > count
        assert (running.rss_mib() - before) / count < 10 / 1024
        for each in (idle[0], idle[1], idle[-1]):
            each.sendall(GOOD)
            assert each.recv(1000).startswith(b"HTTP/1.1 200")
        for each in idle:
            each.close()
        await until(lambda: running.descriptors() < 100)
        assert running.log() == ""


async def test_a_gateway_out_of_descriptors_serves_on() -> None:
    """More connections than it may have files: idle ones make room, who comes is served, and nothing is logged."""
    with alone(files=300) as running, contextlib.ExitStack() as stack:
        for _ in range(4):  # twice as many as there is room for
            for _ in range(120):
                stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            async with asyncio.timeout(10):
                while not await _served(running):  # until it has been seen who is idle
                    pass
        assert running.descriptors() < 300
        assert running.log() == ""


async def _served(running: Alone) -> bool:
    """Whether a newcomer is served; otherwise it was refused, in so many words or by the end of the connection."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        async with Client.connect(running.port) as client:
            await client.send(GOOD)
            answer = await client.answer()
            assert answer.status in (200, 503)
            return answer.status == 200
    return False
