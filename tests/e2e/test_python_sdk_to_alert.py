"""segment-analytics-python, unmodified: what a server tells of a customer becomes an alert that another team reads."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from segment.analytics.client import Client

from tests.e2e.books import audit
from tests.e2e.conftest import Shop
from tests.e2e.reading import subscribe


def test_what_a_server_tells_becomes_an_alert(shop: Shop) -> None:
    """A trial (30), two projects (20) and a day-old look at the prices (20 and 1) make a lead hot, once."""
    place, failures = shop.place, []
    ben = place.lead("u", "ben-holm")
    client = Client("demo", host=shop.gateway.url(), on_error=lambda error, batch: failures.append(error))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    client.identify("ben-holm", {"email": "Ben@Dunmore.example", "name": "Ben Holm"})
    client.page("ben-holm", None, "Pricing", {"path": "/pricing", "title": "Pricing"}, timestamp=yesterday)
    for _ in range(2):
        client.track("ben-holm", "Trial Started", {"plan": "fleet"}, message_id="sent-twice")
    for project in ("north", "south"):
        client.track("ben-holm", "Project Created", {"name": project})
    client.track("ben-holm", "Demo Requested", {"product": "sensors"})
    client.flush()
    client.join()
    assert failures == []

    def of(name: str, enough: Callable[[list[dict[str, Any]]], bool] = bool) -> list[dict[str, Any]]:
        return subscribe(place.kafka, shop.registry, place.topic(name), ben, enough)

    [repeat] = of("engagement.quarantine")
    assert repeat["verdict"] == "duplicate"
    [alert] = of("lead.alerts")
    assert (alert["email"], alert["user_id"], alert["kind"]) == ("ben@dunmore.example", "ben-holm", "hot_lead")
    assert [reason["text"] for reason in alert["reasons"]] == [
        "started a trial",
        "used the product in earnest, twice",
        "looked at Pricing",
    ]
    # 30 + 20 from now; a day ago 20 with a half-life of 14 days and 1 with one of 7 days.
    by_hand = 30 + 20 + 20 * 2 ** (-1 / 14) + 2 ** (-1 / 7)
    assert alert["behaviour_millipoints"] == pytest.approx(by_hand * 1000, abs=5)
    state = of("lead.state", lambda found: any(each["events"] == 6 for each in found))[-1]
    assert (state["hot"], state["stage"], state["events"]) == (True, "mql", 6)
    assert state["behaviour_millipoints"] == 100_000
    lead = audit(place)[ben]
    assert lead.hot
    assert lead.stage == "mql"
