"""@segment/analytics-next, unmodified, served by the gateway, in Chromium on a page of another origin."""

import asyncio
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, async_playwright

from schemas.records import Engagement
from tests.clients.conftest import Capture

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
# Headless Chromium names itself so in its user agent, and is judged a bot for it; visitors' browsers do not.
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        await browser.close()


async def visit(browser: Browser, site: str, capture: Capture, more: str = "", user_agent: str | None = PERSON) -> Page:
    """A visitor on the site's page, with the tracker loaded; what the page complains about fails the test."""
    context = await browser.new_context(user_agent=user_agent)
    page = await context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page failed: {error}"))
    campaign = "utm_source=ad&utm_campaign=spring"
    await page.goto(f"{site}/index.html?gateway={quote(capture.url)}&{campaign}{more}")
    await page.wait_for_function("window.analytics.initialized === true")
    return page


async def until(capture: Capture, enough: Callable[[list[Engagement]], bool]) -> list[Engagement]:
    """What is stored once it is enough."""
    async with asyncio.timeout(30):
        while True:
            if enough(stored := await capture.stored()):
                return stored


async def test_a_visit_arrives_as_it_was(chromium: Browser, site: str, capture: Capture) -> None:
    """Page view, track, identify, group and form arrive once each, with kind, asset, identity and campaign."""
    page = await visit(chromium, site, capture)
    sent = await page.evaluate(
        """async () => {
            const a = window.analytics;
            await a.track("Document Downloaded", { document: "guide.pdf", title: "The guide" });
            await a.identify("u-1", { email: "Ana@Acme.example" });
            await a.group("acme", { employees: 50 });
            for (let n = 0; n < 20; n++) await a.track("Products Searched", { query: "q" + n });
            return a.user().anonymousId();
        }"""
    )
    await page.click("#send")
    await page.wait_for_url("**/thanks.html**")
    stored = await until(capture, lambda found: len(found) >= 25)
    assert len(stored) == 25 == len({each.message_id for each in stored})
    assert {each.anonymous_id for each in stored} == {sent}
    assert {each.verdict for each in stored} == {"human"}
    found = {each.kind: each for each in stored}
    assert (found["page_view"].asset, found["page_view"].title) == ("/index.html", "Chairs that last")
    assert '"spring"' in found["page_view"].campaign
    assert (found["download"].asset, found["download"].title, found["download"].user_id) == (
        "guide.pdf",
        "The guide",
        None,
    )
    assert (found["identify"].user_id, found["identify"].email) == ("u-1", "ana@acme.example")
    assert (found["form_submit"].asset, found["form_submit"].user_id) == ("newsletter", "u-1")
    assert {each.asset for each in stored if each.kind == "search"} == {f"q{n}" for n in range(20)}
    assert all(0 <= each.received_at - each.occurred_at < 30_000 and each.ip == "127.0.0.1" for each in stored)


async def test_what_waits_when_the_page_ends_arrives(chromium: Browser, site: str, capture: Capture) -> None:
    """A batching tracker posts the rest when the visitor leaves, preflight and all."""
    page = await visit(chromium, site, capture, "&batching=1")
    await page.evaluate(
        """() => Promise.all([1, 2, 3].map((n) => window.analytics.track("Search", { query: "q" + n })))"""
    )
    assert await capture.stored() == []
    await page.click("#leave")
    await page.wait_for_url("**/thanks.html**")
    stored = await until(capture, lambda found: len(found) >= 4)
    assert sorted(each.asset for each in stored) == ["/index.html", "q1", "q2", "q3"]


async def test_a_headless_browser_is_a_bot(chromium: Browser, site: str, capture: Capture) -> None:
    """A browser that calls itself headless is judged a bot, with the reason."""
    await visit(chromium, site, capture, user_agent=None)
    [stored] = await until(capture, lambda found: len(found) >= 1)
    assert stored.verdict == "bot"
    assert "Headless" in stored.verdict_reasons[0]
