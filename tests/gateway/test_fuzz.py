"""Garbage at the door: every body is taken or refused, never a fault of ours."""

import json
from itertools import combinations
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ingest import PATHS
from gateway.server import make_app
from schemas.codec import decode
from schemas.records import Engagement
from tests.gateway.conftest import NOW, config
from tests.gateway.memory import MemoryAppender

ORDERS = {"".join(some) for n in range(1, 7) for some in combinations("ueampn", n) if some[0] in "uea"}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ids = st.sampled_from(["ana", "Ana@Acme.example", "null", "a.n+x@gmail.com", 7, "jose\u0301", "a\u200b"])
persons = st.fixed_dictionaries(
    {}, optional={"email": ids, "phone": st.just("+49 30 123456"), "name": ids, "company": ids | json_values}
)
FIELDS = [
    *("type", "event", "name", "messageId", "userId", "anonymousId", "previousId", "groupId", "timestamp", "sentAt"),
    *("originalTimestamp", "properties", "traits", "context", "writeKey", "integrations"),
]
CONTEXT = ["ip", "userAgent", "page", "library", "campaign", "consent", "traits", "locale"]
contexts = json_values | st.dictionaries(st.sampled_from(CONTEXT), json_values, max_size=5)
events = st.builds(
    lambda base, changes, context: {**base, **changes, **context},
    st.just({"type": "track", "event": "Search", "userId": "u"}) | st.just({}),
    st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4),
    st.just({}) | st.builds(lambda context: {"context": context}, contexts),
) | st.fixed_dictionaries(
    {"type": st.sampled_from(["identify", "alias", "page"])},
    optional={"userId": ids, "anonymousId": ids, "previousId": ids, "traits": persons, "properties": persons},
)
bodies = (
    st.binary(max_size=200)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.builds(
        lambda batch, more: json.dumps({**more, "batch": batch}).encode(),
        st.lists(events, max_size=4),
        st.dictionaries(st.sampled_from(["sentAt", "context", "writeKey"]), json_values, max_size=2),
    )
    | events.map(lambda event: json.dumps(event).encode())
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(sorted(PATHS)), body=bodies, key=st.sampled_from(["demo", "shop-key", "nobody", None]))
async def test_garbage_law(path: str, body: bytes, key: str | None) -> None:
    """Any body on any path is answered 200, 400 or 401, and what is stored can be read back."""
    appender = MemoryAppender()
    app: Any = make_app(config(), appender, now=lambda: NOW)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test") as client:
        answer = await client.post(path, content=body, auth=(key, "") if key else None)
    assert answer.status_code in (200, 400, 401)
    assert answer.json()["success"] is (answer.status_code == 200)
    for row in appender.rows:
        record = decode(row.value)
        if isinstance(record, Engagement):
            assert record.identifiers[0].encode() == row.key
            assert "".join(each[0] for each in record.identifiers) in ORDERS
    assert not appender.rows or answer.status_code == 200
