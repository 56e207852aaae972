"""What the page does by itself, in Chromium: nothing jumps, keys work, what is refused is taken back in words."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright

from console.reader import now_ms
from console.sessions import COOKIE
from tests.clients.test_segment_browser import FLAGS
from tests.console.world import World
from tests.streams.desk.harness import waited


class Quiet(uvicorn.Server):
    """A server that says when it is open, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_open = asyncio.Event()

    async def startup(self, sockets: object = None) -> None:
        """Open the port, then say so."""
        await super().startup()
        self.is_open.set()

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        """Leave them alone."""
        yield


@pytest.fixture
async def page(world: World) -> AsyncIterator[Page]:
    """Ben's queue in a browser, live; whatever the page complains about fails the test."""
    server = Quiet(uvicorn.Config(world.console.app, port=0, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    await server.is_open.wait()
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        context = await browser.new_context(base_url=url, viewport={"width": 1280, "height": 700})
        cookie = world.console.sessions.begin("ben", now_ms())
        await context.add_cookies([{"name": COOKIE, "value": cookie, "url": url}])
        made = await context.new_page()
        faults: list[str] = []
        made.on("pageerror", lambda error: faults.append(str(error)))
        made.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
        await made.goto("/")
        await made.wait_for_selector("#link.is-live")
        yield made
        await browser.close()
    world.hub.close()
    server.should_exit = True
    await serving
    assert faults == []


async def test_nothing_jumps_while_somebody_is_on_the_list(world: World, page: Page) -> None:
    """A new row comes in by itself when nobody is on the list; else it waits, and says so."""
    first = world.raise_hand(1)
    row = page.locator(f'[data-request="{first.request_id}"]')
    await row.wait_for()
    assert await page.title() == "(1) Handraise"
    await row.hover()
    second = world.raise_hand(2, who="u:marta", name="Marta Lind")
    await page.get_by_role("button", name="1 new").wait_for()
    assert await page.locator(f'[data-request="{second.request_id}"]').count() == 0
    await page.get_by_role("button", name="1 new").click()
    await page.locator(f'[data-request="{second.request_id}"]').wait_for()
    third = world.raise_hand(3, who="u:lars", name="Lars Dahl")
    await page.get_by_role("button", name="1 new").wait_for()
    await page.mouse.move(5, 5)
    await page.evaluate("document.activeElement.blur()")
    await page.locator(f'[data-request="{third.request_id}"]').wait_for()


async def test_the_hands_stay_on_the_keyboard(world: World, page: Page) -> None:
    """j and k move, c claims, d is done and can be taken back, s puts a lead aside, ? lists the keys, / searches."""
    hand = world.raise_hand(1)
    row = page.locator(f'[data-request="{hand.request_id}"]')
    await row.wait_for()
    await page.keyboard.press("j")
    await page.keyboard.press("c")
    await row.get_by_role("button", name="Contacted").wait_for()
    assert world.kafka.box.last(1).status == "accepted"
    await page.keyboard.press("d")
    await page.get_by_role("button", name="Undo").wait_for()
    assert world.kafka.box.last(1).status == "contacted"
    await page.get_by_role("button", name="Undo").click()
    await row.get_by_role("button", name="Claim").wait_for()
    assert world.kafka.box.last(1).status == "assigned"
    world.kafka.write(waited(0, "u:elif"))
    await page.locator('[data-request="w0-0"]').wait_for()
    await page.locator('[data-request="w0-0"]').focus()
    await page.keyboard.press("s")
    await page.locator('[data-request="w0-0"]').wait_for(state="hidden")
    await page.keyboard.press("?")
    await page.locator("#keys[open]").wait_for()
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    assert await page.evaluate("document.activeElement.id") == "search"
    await page.keyboard.type("jonas v")
    await page.locator("#found a", has_text="Jonas Vik").wait_for()


async def test_who_was_first_is_said_in_the_row(world: World, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that comes second is taken back, with who has it."""
    monkeypatch.setattr("console.saying.PATIENCE_S", 0.2)
    world.kafka.mute = True
    hand = world.raise_hand(1)
    row = page.locator(f'[data-request="{hand.request_id}"]')
    await row.wait_for()
    assert await row.locator(".owner").inner_text() == "owner pending"
    world.kafka.mute = False
    world.kafka.quiet = True
    world.kafka.write(hand)
    assert (await world.act("ana", "accept", hand.request_id)).status_code == 200
    world.kafka.quiet = False
    await row.get_by_role("button", name="Claim").click()
    await row.locator(".said", has_text="Ana Duarte has the request of Jonas Vik").wait_for()


async def test_a_note_is_kept_until_it_is_on_record(world: World, page: Page) -> None:
    """Kafka away, then a reload: the note is still there; once it is taken down it is gone from the browser."""
    hand = world.raise_hand(1)
    row = page.locator(f'[data-request="{hand.request_id}"]')
    await row.get_by_text("More").click()
    await row.get_by_label("Note").fill("call after nine")
    world.kafka.away = True
    await row.get_by_role("button", name="Won").click()
    await row.locator(".said", has_text="Your note is kept").wait_for()
    await page.reload()
    assert await row.get_by_label("Note", exact=False).input_value() == "call after nine"
    world.kafka.away = False
    await row.get_by_text("More").click()
    await row.get_by_role("button", name="Won").click()
    await page.wait_for_function("sessionStorage.length === 0")
    assert world.kafka.box.last(1).status == "won"


async def test_offline_is_said_and_made_good(world: World, page: Page) -> None:
    """Without a connection the page says since when; with it again it has what it missed."""
    await page.context.set_offline(True)
    world.hub.close()
    await page.locator("#link.is-off").wait_for()
    hand = world.raise_hand(1)
    await page.context.set_offline(False)
    await page.locator(f'[data-request="{hand.request_id}"]').wait_for(timeout=15_000)
    await page.locator("#link.is-live").wait_for()
