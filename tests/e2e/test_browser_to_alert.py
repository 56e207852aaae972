"""@segment/analytics-next, unmodified, in Chromium: a visit to a web site becomes an alert that another team reads."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.books import audit
from tests.e2e.conftest import Shop
from tests.e2e.harbourlight import site
from tests.e2e.reading import subscribe

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
# Headless Chromium names itself so in its user agent, and is judged a bot for it; visitors' browsers do not.
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


def go(page: Page, name: str) -> None:
    """Follow a link of the site's navigation, and stay until the page's tracker is up."""
    with page.expect_response("**/v1/p"):
        page.click(f"nav >> text={name}")


def press(page: Page, button: str, path: str) -> None:
    """Press a button that tells the tracker something, and stay until it is told."""
    with page.expect_response(f"**{path}"):
        page.click(button)


def browse(page: Page, url: str) -> None:
    """Look around, sign in, look at what buyers look at, take two papers and fill in a form."""
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
    """A visitor who browses, signs in and takes papers is hot: one alert, three reasons, and a score as counted by hand.

    Before the sign-in 1 page; after it 5 pages (5), of which pricing is an intent (20), two papers (30), a form (10).
    """
    place = shop.place
    elif_demir, marta = place.lead("u", "elif-demir"), chromium.new_context(user_agent=PERSON)
    with site(shop.gateway.url()) as url:
        page = marta.new_page()
        browse(page, url)
        alerts = subscribe(place.kafka, shop.registry, place.topic("lead.alerts"), lambda found: len(found) >= 1)
        go(page, "Call me")
        page.click("form button")
        page.wait_for_url("**/thanks**")
    states = subscribe(
        place.kafka,
        shop.registry,
        place.topic("lead.state"),
        lambda found: any(it["lead_id"] == elif_demir and it["events"] == 11 for it in found),
    )

    [alert] = alerts
    assert (alert["kind"], alert["lead_id"], alert["level"], alert["follow_up"]) == (
        *("hot_lead", elif_demir, 1, "after_session"),
    )
    assert (alert["user_id"], alert["email"]) == ("elif-demir", "elif.demir@kestrel-foods.example")
    assert [reason["text"] for reason in alert["reasons"]] == [
        "downloaded Audit checklist",
        "looked at Security, once",
        "filled in the loss calculator",
    ]
    assert 64_900 <= alert["behaviour_millipoints"] <= 65_000
    state = next(it for it in reversed(states) if it["lead_id"] == elif_demir)
    assert (state["hot"], state["stage"], state["visits"], state["level"]) == (True, "mql", 1, 1)
    assert state["behaviour_millipoints"] == 100_000

    shop.worker.stop()
    shop.gateway.stop()
    leads = audit(place)
    assert sorted(len(lead.events) for lead in leads.values() if not lead.lead_id.startswith("u")) == [1]
