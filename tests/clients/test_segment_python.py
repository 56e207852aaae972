"""segment-analytics-python, unmodified, against the gateway on real Kafka."""

from datetime import UTC, datetime, timedelta

import pytest
from segment.analytics.client import Client

from schemas.records import Engagement
from tests.clients.conftest import Capture

LAST_WEEK = datetime.now(UTC) - timedelta(days=7)


@pytest.mark.parametrize("gzip", [False, True])
async def test_every_call_arrives(capture: Capture, gzip: bool) -> None:
    """Each call of the SDK arrives once, with its kind, asset, identity and time, zipped or not."""
    failures: list[object] = []
    client = Client("demo", host=capture.url, gzip=gzip, on_error=lambda error, batch: failures.append(error))
    client.identify("u-1", {"email": " Ana@Acme.Example", "name": "Ana"})
    client.page("u-1", "Docs", "Pricing", {"path": "/pricing", "title": "Pricing"})
    client.screen(anonymous_id="phone-1", name="Home")
    client.group("u-1", "acme", {"employees": 50})
    client.alias("phone-1", "u-1")
    client.track("u-1", "Demo Requested", {"product": "chair"}, context={"ip": "8.8.8.8"})
    client.track("u-1", "Document Downloaded", {"document": "guide.pdf"}, timestamp=LAST_WEEK, message_id="fixed")
    for n in range(250):
        client.track(f"many-{n}", "Products Searched", {"query": f"q{n}"})
    client.flush()
    client.join()
    assert failures == []
    stored = await capture.stored()
    assert len(stored) == 257 == len({each.message_id for each in stored})
    assert {each.asset for each in stored if each.kind == "search"} == {f"q{n}" for n in range(250)}
    _check_single_calls([each for each in stored if each.kind != "search"])


def _check_single_calls(stored: list[Engagement]) -> None:
    found = {each.kind if each.call != "screen" else "screen": each for each in stored}
    assert found.keys() == {"identify", "page_view", "screen", "group", "alias", "demo_request", "download"}
    assert found["identify"].email == "ana@acme.example"
    assert (found["page_view"].asset, found["page_view"].title) == ("/pricing", "Pricing")
    assert (found["screen"].anonymous_id, found["screen"].user_id) == ("phone-1", None)
    assert (found["demo_request"].asset, found["demo_request"].country) == ("chair", "US")
    assert "phone-1" in found["alias"].context
    download = found["download"]
    assert (download.asset, download.message_id) == ("guide.pdf", "fixed")
    assert abs(download.occurred_at - LAST_WEEK.timestamp() * 1000) < 60_000
    assert all(each.verdict == "human" and each.library.startswith("analytics-python/") for each in stored)
