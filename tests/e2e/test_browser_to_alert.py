"""@segment/analytics-next, unmodified, in Chromium: a visit to a web site becomes an alert that another team reads."""

import time

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.books import audit
from tests.e2e.conftest import Shop
from tests.e2e.deployment import until
from tests.e2e.harbourlight import PERSON, ask, go, site
from tests.e2e.reading import subscribe

DAY_S = 86_400


def press(page: Page, button: str, path: str) -> None:
    """Press a button that tells the tracker something, and stay until it is told."""
    with page.expect_response(f"**{path}"):
        page.click(button)


def browse(page: Page, url: str) -> None:
    """Look around, sign in, look at what buyers look at, take two papers and fill in a form; all on one day."""
    until(lambda: DAY_S - time.time() % DAY_S > 90, "midnight (UTC) to pass, as limits are per day", 120)
    page.on("pageerror", lambda error: pytest.fail(f"the page failed: {error}"))
    with page.expect_response("**/v1/p"):
        page.goto(url)
    page.fill("[name=email]", "Elif.Demir@Kestrel-Foods.example")
    press(page, "text=Sign in", "/v1/i")
    for name in ("Pricing", "Compare", "Security", "Blog", "Papers"):
        go(page, name)
    for button in ("#guide", "#checklist", "#calculator button"):
        press(page, button, "/v1/t")


def test_a_visit_becomes_one_alert_in_words(shop: Shop, chromium: Browser) -> None:
    """Who browses, signs in and takes papers is hot: one alert, three reasons, a score as counted by hand.

    One page before the sign-in and 5 after it (6), of which pricing is an intent (20), two papers (30), a form (10).
    That they then ask to be called adds 50, up to 100, and alerts nobody a second time.
    """
    place, elif_demir = shop.place, shop.place.lead("u", "elif-demir")
    alerts_topic, states_topic = place.topic("lead.alerts"), place.topic("lead.state")
    visitor = chromium.new_context(user_agent=PERSON)
    with site(shop.gateway.url()) as url:
        page = visitor.new_page()
        browse(page, url)
        subscribe(place.kafka, shop.registry, alerts_topic, elif_demir, lambda found: len(found) >= 1)
        go(page, "Call me")
        ask(page, name="Elif Demir", email="elif.demir@kestrel-foods.example", phone="+45 20 12 34 56")
    states = subscribe(
        place.kafka, shop.registry, states_topic, elif_demir, lambda found: any(it["events"] == 13 for it in found)
    )
    [alert] = subscribe(place.kafka, shop.registry, alerts_topic, elif_demir, lambda found: len(found) >= 1)

    assert (alert["kind"], alert["level"], alert["follow_up"]) == ("hot_lead", 1, "after_session")
    assert (alert["user_id"], alert["email"]) == ("elif-demir", "elif.demir@kestrel-foods.example")
    assert [reason["rule"] for reason in alert["reasons"]] == ["download", "intent_page", "form_submitted"]
    assert [reason["text"] for reason in alert["reasons"]] == [
        "downloaded documents twice, last Audit checklist",
        "looked at pricing, comparison or security pages 3 times, last Security",
        "filled in the loss calculator",
    ]
    assert 65_900 <= alert["behaviour_millipoints"] <= 66_000
    state = states[-1]
    assert (state["hot"], state["stage"], state["visits"], state["level"]) == (True, "mql", 1, 1)
    assert state["behaviour_millipoints"] == 100_000
    assert len(audit(place)[elif_demir].events) == 13


def test_a_headless_browser_makes_nobody_hot(shop: Shop, chromium: Browser) -> None:
    """A browser that calls itself headless is filtered: what it did is in quarantine, with the reason."""
    place, robot = shop.place, shop.place.lead("u", "robot-1")
    topic = place.topic("engagement.quarantine")
    with site(shop.gateway.url()) as url:
        page = chromium.new_context().new_page()
        with page.expect_response("**/v1/p"):
            page.goto(url)
        page.evaluate("""async () => {
            await analytics.identify("robot-1", { email: "robot@scanner.example" });
            await analytics.track("Demo Requested", { product: "sensor" });
            await analytics.track("Trial Started", { plan: "fleet" });
        }""")
    filtered = subscribe(place.kafka, shop.registry, topic, robot, lambda found: len(found) >= 3)
    assert {each["verdict"] for each in filtered} == {"bot"}
    assert all("Headless" in each["reasons"][0] for each in filtered)
    assert robot not in audit(place)
