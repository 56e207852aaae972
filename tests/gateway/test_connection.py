"""HTTP on a real socket, and what clients may not do there."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.connection import ASGI, Limits
from gateway.listener import Listener
from gateway.metrics import Metrics
from gateway.server import make_app
from tests.gateway.conftest import NOW, config
from tests.gateway.memory import MemoryAppender
from tests.gateway.sockets import Client, listening_socket

HEAD = b"POST /v1/batch?writeKey=demo HTTP/1.1\r\nhost: gateway\r\n"
BODY = json.dumps({"batch": [{"type": "page", "userId": "u", "messageId": "m"}]}).encode()
GOOD = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
SHORT = Limits(head_s=0.2, body_s=0.3, answer_s=0.4, idle_s=0.3, linger_s=0.2, sweep_s=0.02)


class Place:
    """A gateway on a socket, in memory."""

    def __init__(self, port: int, appender: MemoryAppender, metrics: Metrics, stop: asyncio.Event) -> None:
        self.port, self.appender, self.metrics, self.stop = port, appender, metrics, stop

    def connect(self) -> contextlib.AbstractAsyncContextManager[Client]:
        """A client's connection."""
        return Client.connect(self.port)

    def cut(self) -> dict[str, int]:
        """How many connections were cut, by reason."""
        [family] = self.metrics.connections_cut.collect()
        return {each.labels["why"]: int(each.value) for each in family.samples if each.name.endswith("_total")}

    def connections(self) -> int:
        """How many there are now."""
        return int(self.metrics.connections.collect()[0].samples[0].value)


@asynccontextmanager
async def place(limits: Limits = SHORT, app: ASGI | None = None, drain_s: float = 0.0) -> AsyncIterator[Place]:
    """Serve until the end of the block; then everybody must be gone."""
    appender, metrics, stop = MemoryAppender(patience_s=5), Metrics(), asyncio.Event()
    made = app or make_app(config(), appender, metrics, lambda: NOW, stop=stop)
    with listening_socket() as listening:
        listener = Listener(made, limits, metrics)
        serving = asyncio.create_task(listener.serve(listening, stop, drain_s))
        there = Place(listening.getsockname()[1], appender, metrics, stop)
        try:
            yield there
        finally:
            stop.set()
            await serving
    assert not listener.tasks


async def until(condition: Callable[[], bool]) -> None:
    """Return when it is true."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  nobody sets an event for what a socket does
            await asyncio.sleep(0.01)


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """The same bytes in other pieces."""
    yield [data]
    yield [data[n : n + 1] for n in range(len(data))]
    yield [data[:70], data[70:]]
    yield [data[:-1], data[-1:]]


async def test_the_pieces_in_which_bytes_come_make_no_difference() -> None:
    """A request in one piece, byte by byte, chunked, or expecting a "100 Continue" is the same request."""
    chunked = CHUNKED + b"%x\r\n" % 10 + BODY[:10] + b"\r\n%x;name=value\r\n" % (len(BODY) - 10) + BODY[10:]
    chunked += b"\r\n0\r\ntrailer: value\r\n\r\n"
    async with place() as there:
        for data in (GOOD, chunked):
            for pieces in cuts(data):
                async with there.connect() as client:
                    for piece in pieces:
                        await client.send(piece)
                    assert (await client.answer()).status == 200
        async with there.connect() as client:
            await client.send(HEAD + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(BODY))
            assert (await client.answer()).status == 100
            await client.send(BODY)
            assert (await client.answer()).status == 200
    assert [each.message_id for each in there.appender.engagements()] == ["m"] * 9


async def test_a_connection_is_kept_and_requests_ahead_are_answered_in_order() -> None:
    """Requests that come before the answers to those before them wait for their turn, none is lost."""
    bodies = [BODY.replace(b'"m"', b'"m%d"' % n) for n in range(20)]
    requests = b"".join(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body for body in bodies)
    async with place() as there, there.connect() as client:
        await client.send(requests + b"GET /healthz HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\n")
        answers = [await client.answer() for _ in range(22)]
        assert [each.status for each in answers] == [200] * 21 + [404]
        assert all("connection" not in each.headers and each.headers["date"] for each in answers)
        await client.send(GOOD)
        assert (await client.answer()).status == 200
    assert [each.message_id for each in there.appender.engagements()] == [f"m{n}" for n in range(20)] + ["m"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"), 200),
        (GOOD.replace(b"host: gateway", b"connection: close"), 200),
        (b"GET /healthz HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", 200),
        (GOOD.replace(b"POST", b"PUT").replace(b"content-length: ", b"content-length: 9"), 405),
    ],
    ids=["1.0", "close", "upgrade", "answered before its end"],
)
async def test_the_last_answer_says_that_it_is_the_last(request_: bytes, status: int) -> None:
    """A connection that is not kept ends with the answer, which says so."""
    async with place() as there, there.connect() as client:
        await client.send(request_)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert await client.rest() == b""


async def test_head_has_the_length_and_no_body() -> None:
    """HEAD is answered as GET is, without the body."""
    async with place() as there, there.connect() as client:
        await client.send(b"HEAD /healthz HTTP/1.1\r\nconnection: close\r\n\r\n")
        said = await client.rest()
        assert b"content-length: 15\r\n" in said
        assert said.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT gateway:80 HTTP/1.1\r\n\r\n", 400),
        (b"GET http:// HTTP/1.1\r\n\r\n", 400),
        (HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello", 400),
        (HEAD + b"content-length: -5\r\n\r\n", 400),
        (HEAD + b"content-length: 99999999999999999999999\r\n\r\n", 400),
        (HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (GOOD.replace(b"host: gateway", b"connection: upgrade\r\nupgrade: h2c"), 400),
        (HEAD + b"na me: value\r\n\r\n", 400),
        (HEAD + b"name: a\x00b\r\n\r\n", 400),
        (CHUNKED + b"5\r\nhello world\r\n0\r\n\r\n", 400),
        (CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", 400),
        (CHUNKED + b"fffffffffffffffff\r\nhello\r\n", 400),
        (CHUNKED + b"five\r\nhello\r\n", 400),
        (HEAD + b"x: y\r\n" * 20_000, 431),
        (HEAD + b"x: " + b"y" * 100_000, 431),
        (b"GET /" + b"y" * 100_000, 431),
        (CHUNKED + b"5\r\nhello\r\n0\r\n" + b"x: y\r\n" * 20_000, 431),
        (CHUNKED + b"5;" + b"y" * 100_000, 431),
        (CHUNKED + b"1\r\n \r\n" * 20_000, 431),
        (GOOD * 100, 400),  # no answer is read between them
    ],
    ids=range(23),
)
async def test_lies_are_refused_and_the_connection_ends(data: bytes, status: int) -> None:
    """What is no HTTP, contradicts itself or has no end: 400 or 431 in three parts, and the connection is over."""
    async with place() as there, there.connect() as client:
        await client.send(data)
        answers = [await client.answer()]
        while answers[-1].headers.get("connection") != "close":
            answers.append(await client.answer())
        if len(answers) == 1:
            assert answers[0].status == status
            assert all(part in json.loads(answers[0].body)["message"] for part in ("where: ", "remedy: "))
        else:
            assert {each.status for each in answers} == {200}  # what came before is answered, and nothing is said after
        assert await client.rest() == b""
        await until(lambda: there.connections() == 0)
        assert sum(there.cut().values()) == 1


@pytest.mark.parametrize(
    ("data", "why", "status"),
    [
        (b"", "opened", None),
        (b"G", "head", 408),
        (HEAD, "head", 408),
        (HEAD + b"content-length: 9\r\n\r\n", "body", 408),
        (GOOD[:-1], "body", 408),
        (CHUNKED + b"5\r\nhel", "body", 408),
        (GOOD.replace(b"POST", b"PUT")[:-1], "linger", 405),
        (GOOD, "idle", 200),
        (GOOD + b"G", "head", 200),
    ],
)
async def test_who_is_too_slow_is_told_and_let_go(data: bytes, why: str, status: int | None) -> None:
    """A request that does not come to its end, and a connection without a request, end in bounded time."""
    async with place() as there, there.connect() as client:
        await client.send(data)
        if status is not None:
            assert (await client.answer()).status == status
        await client.rest()
        await until(lambda: there.connections() == 0)
        assert there.cut() == {why: 1}


async def test_a_byte_now_and_then_does_not_buy_time() -> None:
    """A head that comes byte by byte has as long as any other."""
    async with place() as there, there.connect() as client:
        for byte in HEAD:
            with contextlib.suppress(ConnectionError):
                await client.send(bytes([byte]))
            await asyncio.sleep(0.01)
            if there.cut():
                break
        assert there.cut() == {"head": 1}


async def test_who_never_reads_is_cut_off() -> None:
    """Answers that nobody takes are not made without end: the client is not read any more, then cut off."""

    async def wordy(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]})
        await send({"type": "http.response.body", "body": b" " * 1_000_000})

    async with place(app=wordy) as there, there.connect() as client:
        client.read_nothing()
        await client.send(b"GET / HTTP/1.1\r\n\r\n" * 30)
        await until(lambda: there.cut() == {"answer": 1} and there.connections() == 0)


async def test_who_has_sent_all_may_say_so_and_is_answered() -> None:
    """A connection that the client has closed on its side is answered what was asked in full, then ends."""
    async with place() as there:
        for data, answers in ((b"", 0), (HEAD, 0), (GOOD[:-1], 0), (GOOD, 1), (GOOD + GOOD + HEAD, 2)):
            async with there.connect() as client:
                await client.send(data)
                client.send_no_more()
                assert (await client.rest()).count(b"HTTP/1.1 200") == answers
    assert len(there.appender.engagements()) == 3
    assert there.cut() == {}


async def test_who_is_gone_is_forgotten() -> None:
    """A client that leaves in the middle of a request, or before its answer, leaves nothing behind."""
    async with place(Limits()) as there:
        there.appender.away()
        for data in (b"", HEAD, GOOD[:-1], GOOD, GOOD + GOOD + HEAD):
            async with there.connect() as client:
                await client.send(data)
        there.appender.back()
        await until(lambda: there.connections() == 0)
        async with there.connect() as client:
            await client.send(GOOD)
            assert (await client.answer()).status == 200
    assert len(there.appender.engagements()) >= 1


async def test_a_newcomer_takes_the_place_of_whoever_is_idle() -> None:
    """With all places taken, the one idle longest goes; with everybody busy, the newcomer is told to come again."""
    async with place(Limits(connections=20, sweep_s=0.02)) as there, contextlib.AsyncExitStack() as stack:

        async def come() -> Client:
            return await stack.enter_async_context(there.connect())

        idle = [await come() for _ in range(20)]
        await idle[0].send(GOOD)
        assert (await idle[0].answer()).status == 200
        await asyncio.sleep(0.7)  # nobody is sent away who has just come
        busy = [await come() for _ in range(20)]
        for client in busy:
            await client.send(GOOD[:-1])
        assert [await client.rest() for client in idle] == [b""] * 20
        assert there.cut() == {"made_room": 20}
        refused = await (await come()).answer()
        assert (refused.status, refused.headers["retry-after"]) == (503, "2")
        for client in busy:
            await client.send(GOOD[-1:])
            assert (await client.answer()).status == 200
        busy[0].close()
        await until(lambda: there.connections() < 20)
        newcomer = await come()
        await newcomer.send(GOOD)
        assert (await newcomer.answer()).status == 200


async def test_a_fault_of_ours_is_500_and_ends_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """An application that raises, or says nothing: 500 in three parts, and it stands in the log."""

    async def faulty(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/raise":
            raise ZeroDivisionError("the test's")

    async with place(app=faulty) as there, there.connect() as client:
        for path in (b"/raise", b"/silence"):
            await client.send(b"GET " + path + b" HTTP/1.1\r\n\r\n")
            answer = await client.answer()
            assert (answer.status, json.loads(answer.body)["code"]) == (500, "fault")
    said = capsys.readouterr().out
    assert "the test's" in said
    assert "gave no answer" in said


async def test_the_end_is_announced_then_comes_when_the_last_request_is_answered() -> None:
    """Told to end: not ready, still serving, without keeping connections; idle ones go, those in work are answered."""
    async with place(Limits(), drain_s=0.3) as there, contextlib.AsyncExitStack() as stack:
        idle, busy, late = [await stack.enter_async_context(there.connect()) for _ in range(3)]
        await idle.send(GOOD)
        assert (await idle.answer()).headers.get("connection") is None
        there.appender.away()
        await busy.send(GOOD)
        await there.appender.asked.wait()
        there.stop.set()
        await late.send(b"GET /readyz HTTP/1.1\r\n\r\n")
        answer = await late.answer()
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert b"ending" in answer.body
        assert await idle.rest() == b""
        with pytest.raises(ConnectionError):
            async with there.connect():
                raise AssertionError("it still listens")
        there.appender.back()
        assert (await busy.answer()).headers["connection"] == "close"
    assert len(there.appender.engagements()) == 2
