"""The pictures of the README: `python -m tests.e2e.pictures` draws them anew into docs/pictures.

The same office as in the tests, with the demo's visitors of 21 days, and people who ask to be called.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx
from playwright.sync_api import Browser, Page, expect, sync_playwright

from deploy.local import running
from handraise.demo import story
from handraise.demo.cast import BROWSERS, ELIF, JONAS, JONAS_EMAIL, Person
from handraise.demo.story import Act, Story
from tests.e2e.conftest import FLAGS
from tests.e2e.deployment import ROOT
from tests.e2e.harbourlight import PERSON
from tests.e2e.office import Office, office
from tests.e2e.shrink import animate, shrink

FOLDER = ROOT / "docs" / "pictures"
CLIP = {"width": 1160, "height": 640}
WIDE, SMALL = {"width": 1280, "height": 760}, {"width": 390, "height": 800}
STILLS = ("queue", "queue-dark", "queue-small", "lead", "desk")
_BATCH = 100


class Asks(NamedTuple):
    """Somebody who asks to be called."""

    name: str
    company: str
    phone: str
    message: str
    topic: str = "sales"


ASTRID = Asks("Astrid Lund", "Isbre Foods", "+47 55 12 34 56", "Could you show us the gateway on site?")
SOFIA = Asks("Sofia Marques", "Medline Sul", "+351 210 123 456", "Price for 400 sensors, three halls")
LINNEA = {
    "name": "Linnea Berg",
    "company": "Polar Dairy",
    "email": "linnea.berg@polar-dairy.example",
    "phone": "+45 20 12 34 56",
    "message": "Our auditor comes on Thursday. Can we talk today?",
}
HENRIK = Asks("Henrik Dahl", "The Cold Store Weekly", "+45 33 12 34 56", "A quote on summer transport", "press")


def fill(there: Office, visitors: int = 300) -> None:
    """21 days of history; then Elif gets hot, and Astrid, Sofia, Henrik and Jonas raise a hand."""
    told = Story(1, visitors)
    tell(there, told.history(_now()))
    for step in (story.page("/"), story.paper("cold-chain-audit"), story.page("/pricing")):
        tell(there, [told.act(_now(), ELIF, step)])
    for asks in (ASTRID, SOFIA, HENRIK):
        address = f"{asks.name.lower().replace(' ', '.')}@{asks.company.lower().replace(' ', '-')}.example"
        person = Person(asks.name, asks.company, address, f"hl-{address}", BROWSERS[0])
        form = {**asks._asdict(), "email": address, "form_id": "call-me"}
        tell(there, [told.act(_now(), person, story.page("/pricing")), told.act(_now(), person, _call(form))])
    tell(there, [told.act(_now(), JONAS, story.page(path)) for path in ("/", "/call-me")])
    tell(there, [told.act(_now(), JONAS._replace(email=JONAS_EMAIL), story.call_me())])


def _call(form: dict[str, Any]) -> dict[str, Any]:
    return story.track("Call Requested", **form)


def tell(there: Office, acts: Sequence[Act]) -> None:
    """Post what visitors did, as their trackers do."""
    for start in range(0, len(acts), _BATCH):
        batch = [act.payload() for act in acts[start : start + _BATCH]]
        body = {"batch": batch, "sentAt": story.iso(_now()), "writeKey": "demo"}
        httpx.post(f"{there.gateway}/v1/batch", json=body, timeout=20).raise_for_status()


def draw(there: Office, browser: Browser, folder: Path) -> None:
    """The rep's queue in both themes and on a telephone, a lead, and the desk: STILLS."""
    folder.mkdir(parents=True, exist_ok=True)
    queue = there.signed_in(browser, "ben", viewport=WIDE)
    expect(queue.locator("li.hand", has_text=JONAS.name)).to_be_visible()
    queue.locator("li.hand", has_text=ASTRID.name).get_by_role("button", name="Claim").click()
    expect(queue.locator("li.hand", has_text=ASTRID.name).get_by_role("button", name="Contacted")).to_be_visible()
    queue.reload()
    shoot(queue, folder / "queue.png")
    dark = there.signed_in(browser, "ben", viewport=WIDE, color_scheme="dark")
    shoot(dark, folder / "queue-dark.png")
    shoot(there.signed_in(browser, "ben", viewport=SMALL), folder / "queue-small.png")
    queue.goto(f"{there.console}/leads/{there.place.lead('e', str(ELIF.email))}")
    shoot(queue, folder / "lead.png")
    shoot(there.signed_in(browser, "mert", "/desk", viewport=WIDE), folder / "desk.png")


def film(there: Office, browser: Browser) -> list[tuple[bytes, int]]:
    """The clip: a visitor asks to be called, and the rep beside them claims it; frames, with how long each stands."""
    page = there.signed_in(browser, "ben", "/demo", viewport=CLIP, user_agent=PERSON)
    site, queue = (page.frame_locator("iframe").nth(n) for n in (0, 1))
    frames: list[tuple[bytes, int]] = []

    def take(ms: int) -> None:
        frames.append((page.screenshot(animations="disabled"), ms))

    for asks in (JONAS, ASTRID):  # who waits still is served first
        row = queue.locator("li.hand", has_text=asks.name)
        if asks is JONAS:
            row.get_by_role("button", name="Claim").click()
        row.get_by_role("button", name="Contacted").click()
        expect(row.locator(".status")).to_contain_text("reached")
    page.reload()
    expect(queue.locator("li.lead").first).to_be_visible()
    take(1_600)
    site.locator("nav >> text=Pricing").click()
    expect(site.locator("h1", has_text="Pricing")).to_be_visible()
    take(1_400)
    site.locator("nav >> text=Call me").click()
    expect(site.locator("#call-me")).to_be_visible()
    take(700)
    for name, text in LINNEA.items():
        site.locator(f"#call-me [name={name}]").fill(text)
    take(1_400)
    site.locator("#call-me button").click()
    row = queue.locator("li.hand", has_text=LINNEA["name"])
    expect(row.locator(".owner")).to_have_text("you")
    expect(site.locator("h1", has_text="Thank you")).to_be_visible()
    take(3_000)
    row.get_by_role("button", name="Claim").click()
    expect(row.get_by_role("button", name="Contacted")).to_be_visible()
    page.mouse.move(10, 10)
    take(2_000)
    row.get_by_role("button", name="Contacted").click()
    expect(row.locator(".status")).to_contain_text("reached")
    take(2_600)
    return frames


def shoot(page: Page, file: Path) -> None:
    """What is in the window, once nothing moves."""
    page.wait_for_load_state("load")
    expect(page.locator("body")).to_be_visible()
    page.screenshot(path=file, animations="disabled")


def _now() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    """Draw them all."""
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        with (
            running(place / "servers", os.environ) as servers,
            office(servers.kafka, servers.redis, "pictures.", place) as there,
        ):
            fill(there)
            draw(there, browser, FOLDER)
            frames = film(there, browser)
        browser.close()
    for name in STILLS:
        file = FOLDER / f"{name}.png"
        file.write_bytes(shrink(file.read_bytes()))
    (FOLDER / "clip.png").write_bytes(animate(frames))


if __name__ == "__main__":
    main()
