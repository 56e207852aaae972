"""Segment's HTTP protocol at the gateway's door."""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from typing import Any

import httpx
import pytest

from gateway.body import MAX_BODY_BYTES, MAX_EVENT_BYTES, MAX_EVENTS
from gateway.server import make_app
from tests.gateway.conftest import NOW, Door, config
from tests.gateway.memory import MemoryAppender

CALLS = ["track", "page", "screen", "identify", "group", "alias"]


def event(**fields: Any) -> dict[str, Any]:
    """A track call of a known visitor."""
    return {"type": "track", "event": "Search", "userId": "u1", "messageId": "m1", **fields}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("short", [False, True])
async def test_each_call_has_its_path_and_its_short_path(door: Door, call: str, short: bool) -> None:
    """Every call arrives by its own path and by its short one, under its own name."""
    answer = await door.post(f"/v1/{call[0] if short else call}", {"userId": "u1", "event": "X", "messageId": "m"})
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert [each.call for each in door.appender.engagements()] == [call]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"])
async def test_batches_bring_every_event(door: Door, path: str) -> None:
    """Each batch path takes all of its events, in order; only the import marks them."""
    await door.post(path, {"batch": [event(messageId=str(n)) for n in range(30)]})
    found = door.appender.engagements()
    assert [each.message_id for each in found] == [str(n) for n in range(30)]
    assert all(("imported" in each.flags) == (path == "/v1/import") for each in found)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "x/y"])
@pytest.mark.parametrize("zipped", [False, True])
async def test_only_bytes_decide_how_a_body_is_read(door: Door, content_type: str, zipped: bool) -> None:
    """Whatever the content type says, JSON is JSON and gzip is gzip."""
    body = b" \n" + json.dumps({"batch": [event()]}).encode()
    answer = await door.post(
        "/v1/batch", gzip.compress(body) if zipped else body, headers={"content-type": content_type}
    )
    assert answer.status_code == 200
    assert len(door.appender.engagements()) == 1


async def test_a_bare_list_is_a_batch(door: Door) -> None:
    """A JSON list of events is as good as one inside `batch`."""
    assert (await door.post("/v1/batch", [event(), event()])).status_code == 200
    assert len(door.appender.engagements()) == 2


@pytest.mark.parametrize(
    ("auth", "body", "query"),
    [
        ("Basic ZGVtbzo=", {}, ""),  # demo:
        ("Basic ZGVtbw==", {}, ""),  # demo, no colon
        ("basic ZGVtbzpzZWNyZXQ=", {}, ""),  # demo:secret
        (None, {"writeKey": "demo"}, ""),
        (None, {}, "?writeKey=demo"),
        ("Basic ZGVtbzo=", {"writeKey": "nobody"}, "?writeKey=nobody"),
        (None, {"writeKey": "demo"}, "?writeKey=nobody"),
    ],
)
async def test_the_write_key_is_found_in_order(door: Door, auth: str | None, body: Any, query: str) -> None:
    """Basic user first, then the body, then the query; the first there is decides."""
    headers = {"authorization": auth} if auth else {}
    answer = await door.client.post(f"/v1/batch{query}", json={"batch": [event()], **body}, headers=headers)
    assert answer.status_code == 200
    assert [each.source for each in door.appender.engagements()] == ["demo"]


async def test_events_of_one_batch_may_have_their_own_write_keys(door: Door) -> None:
    """Without a key for the request each event's own decides; an unknown one among them is a dead letter."""
    batch = [event(writeKey=key) for key in ("demo", "shop-key", "nobody", "demo")]
    assert (await door.post("/v1/batch", {"batch": batch}, key=None)).status_code == 200
    assert sorted(each.source for each in door.appender.engagements()) == ["demo", "demo", "shop"]
    assert [each.code for each in door.appender.rejected()] == ["unknown_write_key"]


@pytest.mark.parametrize("key", ["nobody", None])
async def test_an_unknown_write_key_is_401_and_nothing_is_stored(door: Door, key: str | None) -> None:
    """Who has no write key gets 401 with what, where and the remedy."""
    answer = await door.post("/v1/batch", {"batch": [event()]}, key=key)
    assert answer.status_code == 401
    message = answer.json()
    assert message["success"] is False
    assert all(part in message["message"] for part in ("write key", "where: ", "remedy: "))
    assert door.appender.rows == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"hello",
        b"{",
        b'{"batch": 5}',
        b'{"batch": null}',
        b"{}",
        b'{"batch": [}',
        b"[" * 100_000,
        b'{"batch": [{"a": "\xff"}]}',
        b"\x1f\x8bnot really",
        gzip.compress(b'{"batch": []}')[:-9],
        gzip.compress(b" " * (MAX_BODY_BYTES + 1)),
        gzip.compress(gzip.compress(b'{"batch": []}')),
        gzip.compress(b'{"batch": []}') + b"more",
        gzip.compress(b'{"batch": []}') + gzip.compress(b"]"),
        gzip.compress(b'{"batch": []}') + gzip.compress(b"") * 100,
        gzip.compress(b" " * MAX_BODY_BYTES) * 60,
        zlib.compress(b'{"batch": []}'),
        b"[" + b" " * MAX_BODY_BYTES + b"]",
        json.dumps([{}] * (MAX_EVENTS + 1)).encode(),
    ],
    ids=range(21),
)
async def test_what_cannot_be_read_is_400_with_why(door: Door, body: bytes) -> None:
    """An unparsable or oversize body is refused as a whole, in three parts."""
    answer = await door.post("/v1/batch", body)
    assert answer.status_code == 400
    assert all(part in answer.json()["message"] for part in ("where: /v1/batch", "remedy: "))
    assert door.appender.rows == []


async def test_gzip_may_have_several_members(door: Door) -> None:
    """What is gzipped in parts is one body, and every event in it arrives."""
    body = json.dumps({"batch": [event(messageId=str(n)) for n in range(9)]}).encode()
    parts = b"".join(gzip.compress(body[n : n + 100]) for n in range(0, len(body), 100))
    assert (await door.post("/v1/batch", parts)).status_code == 200
    assert [each.message_id for each in door.appender.engagements()] == [str(n) for n in range(9)]


async def test_ten_gigabytes_of_zeros_are_refused_without_being_made(door: Door) -> None:
    """A gzip bomb, plain or gzipped once more, is refused before it has taken more than a body may."""
    packer = zlib.compressobj(9, wbits=31)
    piece = bytes(1 << 20)
    bomb = b"".join(packer.compress(piece) for _ in range(300))  # 300 MB in 300 KB; all of it would be refused as sent
    twice = gzip.compress(gzip.compress(bytes(10 << 20)) * 1000)  # 10 GB in a few KB
    tracemalloc.start()
    for body in (bomb, twice, gzip.compress(b"\n".join([gzip.compress(piece)] * 400))):
        assert (await door.post("/v1/batch", body)).status_code == 400
    assert tracemalloc.get_traced_memory()[1] < 20 * MAX_BODY_BYTES
    tracemalloc.stop()


async def test_a_body_far_over_the_limit_is_400_without_being_kept(door: Door) -> None:
    """A stream of megabytes is drained and refused."""

    async def endless() -> Any:
        for _ in range(200):
            yield b" " * 65_536

    answer = await door.client.post("/v1/batch", content=endless(), auth=("demo", ""))
    assert answer.status_code == 400


async def test_a_bad_event_never_harms_its_neighbours(door: Door) -> None:
    """Bad events in a good batch are dead letters with source, code, reason and their bytes; the others arrive."""
    bad = {
        "unknown_call": {"type": "sing", "userId": "u"},
        "no_event_name": {"type": "track", "userId": "u"},
        "no_identifier": event(userId="null", anonymousId=""),
        "bad_event": event(properties=[1]),
        "too_large": event(properties={"text": "x" * MAX_EVENT_BYTES}),
    }
    batch = [event(messageId="first"), *bad.values(), event(messageId="last")]
    answer = await door.post("/v1/batch", {"batch": batch})
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert [each.message_id for each in door.appender.engagements()] == ["first", "last"]
    rejected = {each.code: each for each in door.appender.rejected()}
    assert rejected.keys() == bad.keys()
    for code, each in rejected.items():
        assert json.loads(each.record) == bad[code]
        assert (each.source, each.at) == ("demo", NOW)
        assert "where: " in each.reason
        assert "remedy: " in each.reason
    assert all(row.key == b"demo" for row in door.appender.rows if row.topic == "engagement.rejected")


@pytest.mark.parametrize("junk", [5, "text", None, [], True, {}, [[]]])
async def test_junk_in_a_batch_is_a_dead_letter(door: Door, junk: Any) -> None:
    """An element that is no event at all is rejected like any bad event."""
    assert (await door.post("/v1/batch", {"batch": [junk, event()]})).status_code == 200
    assert len(door.appender.engagements()) == 1
    assert [json.loads(each.record) for each in door.appender.rejected()] == [junk]


async def test_a_cut_emoji_does_not_cost_the_batch(door: Door) -> None:
    """A lone surrogate, which browsers make by cutting texts, becomes a replacement character."""
    asked = rb'{"type":"track","event":"Search","userId":"u","properties":{"q":"\ud83d \ud83d\ude00 \\ud83d"}}'
    body = b'{"batch": [' + asked + b"]}"
    assert (await door.post("/v1/batch", body)).status_code == 200
    [found] = door.appender.engagements()
    assert json.loads(found.properties) == {"q": "\ufffd \U0001f600 \\ud83d"}


async def test_an_event_too_large_by_itself_is_400(door: Door) -> None:
    """A single call over the limit is an oversize request."""
    answer = await door.post("/v1/track", event(properties={"text": "x" * MAX_EVENT_BYTES}))
    assert answer.status_code == 400


async def test_an_empty_batch_is_fine(door: Door) -> None:
    """Nothing to store is success."""
    assert (await door.post("/v1/batch", {"batch": []})).status_code == 200


async def test_explicit_nulls_are_as_good_as_nothing(door: Door) -> None:
    """SDKs send null for what they do not know."""
    names = ["anonymousId", "properties", "traits", "context", "timestamp", "sentAt", "messageId", "name"]
    body = {"batch": [event(**dict.fromkeys(names))], "sentAt": None, "context": None}
    assert (await door.post("/v1/batch", body)).status_code == 200
    [found] = door.appender.engagements()
    assert (found.properties, found.traits, found.context, found.anonymous_id) == ("{}", "{}", "{}", None)
    assert len(found.message_id) == 32


async def test_the_context_of_a_batch_stands_behind_that_of_its_events(door: Door) -> None:
    """What a batch says for all of its events holds unless an event says otherwise."""
    batch = [event(), event(context={"locale": "de", "ip": "8.8.8.8"})]
    await door.post("/v1/batch", {"batch": batch, "context": {"locale": "en", "ip": "1.0.16.1", "x": 1}})
    first, second = door.appender.engagements()
    assert (json.loads(first.context), first.country) == ({"locale": "en", "x": 1}, "JP")
    assert (json.loads(second.context), second.country) == ({"locale": "de", "x": 1}, "US")


async def test_503_with_retry_after_while_kafka_is_away(door: Door) -> None:
    """Nothing is acknowledged that Kafka does not have; the client is told when to come back."""
    door.appender.away()
    for _ in range(2):
        answer = await door.post("/v1/track", event(), headers={"origin": "https://a.example"})
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert answer.json()["success"] is False
    assert (await door.client.get("/readyz")).status_code == 503
    door.appender.back()
    assert (await door.post("/v1/track", event())).status_code == 200
    assert (await door.client.get("/readyz")).status_code == 200


async def test_memory_for_bodies_is_bounded() -> None:
    """While as many bytes as may be are in work, who comes gets 503 and is told to come back; then there is room."""
    appender = MemoryAppender(patience_s=5)
    app: Any = make_app(config(buffer_bytes=3000), appender)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test") as client:
        body = {"batch": [event(properties={"text": "x" * 2000})]}
        appender.away()
        first = asyncio.create_task(client.post("/v1/batch", json=body, auth=("demo", "")))
        await appender.asked.wait()
        for _ in range(3):
            refused = await client.post("/v1/batch", json=body, auth=("demo", ""))
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        appender.back()
        assert (await first).status_code == 200
        assert (await client.post("/v1/batch", json=body, auth=("demo", ""))).status_code == 200


async def test_other_methods_are_405(door: Door) -> None:
    """Events come by POST."""
    assert (await door.client.get("/v1/track")).status_code == 405


async def test_metrics_count_requests_and_events(door: Door) -> None:
    """Outcomes are counted by source, dead letters by reason, answers by status."""
    await door.post("/v1/batch", {"batch": [event(), {}, event()]})
    await door.post("/v1/batch", b"junk")
    text = (await door.client.get("/metrics")).text
    assert 'handraise_gateway_events_total{outcome="accepted",source="demo"} 2.0' in text
    assert 'handraise_gateway_events_total{outcome="rejected",source="demo"} 1.0' in text
    assert 'handraise_gateway_rejected_total{code="unknown_call"} 1.0' in text
    assert 'handraise_gateway_requests_total{status="400"} 1.0' in text


async def test_health_and_unknown_paths(door: Door) -> None:
    """Health is 200, an unknown path 404 in three parts."""
    assert (await door.client.get("/healthz")).json() == {"status": "ok"}
    answer: httpx.Response = await door.client.get("/v2/nothing")
    assert answer.status_code == 404
    assert "remedy: " in answer.json()["message"]
