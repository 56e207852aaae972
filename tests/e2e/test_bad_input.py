"""Bad input through the whole path: refused with the reason, kept unchanged, and nobody else is harmed."""

import gzip
import json
import time
from typing import Any

import httpx
import msgspec
import pytest
from confluent_kafka import Producer

from schemas.codec import decode, encode
from schemas.keys import partition_of
from schemas.records import Engagement, LeadState, Rejected
from streams.identity import event_id
from tests.e2e.books import audit
from tests.e2e.conftest import Shop
from tests.e2e.deployment import Deployment
from tests.e2e.reading import rows, subscribe

HOUR_MS = 3_600_000


def post(shop: Shop, body: object, key: str | None = "demo", path: str = "/v1/batch") -> httpx.Response:
    """Post JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    auth = None if key is None else httpx.BasicAuth(key, "")
    return httpx.post(shop.gateway.url() + path, content=content, auth=auth, timeout=20)


def track(user: str, message_id: str, event: str = "Trial Started", **more: Any) -> dict[str, Any]:
    """A track call."""
    return {"type": "track", "userId": user, "event": event, "messageId": message_id, **more}


def rejected(place: Deployment) -> list[Rejected]:
    """The dead letters."""
    found = [decode(row.value or b"") for row in rows(place.kafka, place.topic("engagement.rejected"))]
    assert all(isinstance(each, Rejected) for each in found)
    return found  # type: ignore[return-value]


def await_events(shop: Shop, lead_id: str, count: int) -> dict[str, Any]:
    """The lead's state once so many of its events were scored."""
    topic = shop.place.topic("lead.state")
    return subscribe(
        shop.place.kafka, shop.registry, topic, lead_id, lambda found: any(it["events"] >= count for it in found)
    )[-1]


@pytest.mark.parametrize("key", ["nobody", None])
def test_an_unknown_write_key_is_401(shop: Shop, key: str | None) -> None:
    """Without the write key of a source nothing is taken, and the answer says where keys are."""
    answer = post(shop, {"batch": [track("stranger", "s-1")]}, key)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unknown_write_key"
    assert "rules/sources.toml" in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"batch": [', "bad_json"),
        (b"GET me out", "bad_json"),
        (b"", "bad_json"),
        (b'{"batch": 7}', "bad_json"),
        (gzip.compress(b"x" * 50)[:-9], "bad_gzip"),
        (json.dumps({"batch": [track("big", "b", properties={"text": "x" * 600_000})]}).encode(), "too_large"),
        (gzip.compress(b"[" + b" " * 5_000_000 + b"]"), "too_large"),
    ],
)
def test_a_body_that_cannot_be_read_is_400(shop: Shop, body: bytes, code: str) -> None:
    """An unparsable or oversize request is refused whole, with what is wrong, where, and what to do."""
    answer = post(shop, body)
    assert answer.status_code == 400
    said = answer.json()
    assert not said["success"]
    assert said["code"] == code
    assert "where: /v1/batch" in said["message"]
    assert "remedy: " in said["message"]


def test_a_bad_event_harms_no_other(shop: Shop) -> None:
    """In a good batch each bad event is answered with 200 and dead-lettered, bytes unchanged; the others are scored."""
    bad = {
        "no_event_name": b'{"type": "track", "userId": "marta", "messageId": "bad-1"}',
        "unknown_call": b'{"type":"teleport",   "userId":"marta"}',
        "no_identifier": b'{"type": "track", "event": "Trial Started", "userId": "undefined"}',
        "too_large": json.dumps(track("marta", "bad-2", properties={"text": "y" * 40_000})).encode(),
    }
    good = [
        json.dumps(track("marta", f"good-{n}", "Document Downloaded", properties={"document": f"{n}"})) for n in "12"
    ]
    batch = b", ".join([good[0].encode(), *bad.values(), b'"no object"', good[1].encode()])
    answer = post(shop, b'{"batch": [' + batch + b"]}")
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    state = await_events(shop, shop.place.lead("u", "marta"), 2)
    assert 29_990 <= state["behaviour_millipoints"] <= 30_000
    letters = {each.record: each for each in rejected(shop.place)}
    for code, record in bad.items():
        letter = letters[record]
        assert (letter.source, letter.code, letter.topic) == ("demo", code, None)
        assert "where: " in letter.reason
        assert "remedy: " in letter.reason
    assert letters[b'"no object"'].source == "demo"
    audit(shop.place)


def test_what_is_no_record_is_rejected_and_the_partition_goes_on(shop: Shop) -> None:
    """Bytes written straight to lead.events are dead-lettered with the reason; later events of the partition score."""
    place = shop.place
    key = place.lead("u", "jonas").encode()
    partition = partition_of(key, place.partitions)
    state = LeadState(key.decode(), 0, 0, 4, False, None, "visitor", 0, 0, 0, 0, 0, "", 0, 0)
    engagement = _engagement("direct-1")
    future = msgspec.structs.replace(engagement, occurred_at=engagement.occurred_at + 30 * 24 * HOUR_MS)
    written: list[tuple[str, bytes | None, bytes | None]] = [
        ("undecodable", key, b"these bytes are no record"),
        ("undecodable", key, b""),
        ("undecodable", key, None),
        ("undecodable", None, b"\x00\x00\x00\x03\xe7 an id of nobody"),
        ("truncated", key, encode(engagement)[:20]),
        ("not_an_inbox_record", key, encode(state)),
        ("bad_key", b"jonas", encode(engagement)),
        ("from_the_future", key, encode(future)),
    ]
    assert post(shop, {"batch": [track("jonas", "j-1")]}).status_code == 200
    producer = Producer({"bootstrap.servers": place.kafka})
    for _, record_key, value in written:
        producer.produce(place.topic("lead.events"), value, record_key, partition)
    assert producer.flush(20) == 0
    assert (
        post(shop, {"batch": [track("jonas", "j-2", "Document Downloaded", properties={"id": "d"})]}).status_code == 200
    )

    assert await_events(shop, key.decode(), 2)["behaviour_millipoints"] >= 44_990
    letters = [each for each in rejected(place) if (each.topic, each.partition) == ("lead.events", partition)]
    assert [(each.code, each.key, each.record) for each in letters] == [
        (code, record_key, value or b"") for code, record_key, value in written
    ]
    for letter in letters:
        assert letter.source == "lead.events"
        assert f"lead.events, partition {partition}, offset {letter.offset}; remedy: " in letter.reason
    assert shop.worker.readiness()[0] == 200
    audit(place)


def _engagement(message_id: str) -> Engagement:
    now = time.time_ns() // 1_000_000
    return Engagement(
        event_id=event_id("direct", message_id),
        occurred_at=now,
        kind="trial_start",
        asset="",
        title="",
        verdict="human",
        email=None,
        identifiers=(),
        source="direct",
        message_id=message_id,
        call="track",
        event="Trial Started",
        received_at=now,
    )
