"""Harbourlight's office: a deployment of all parts, whose people are on at every hour, and the browsers in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page

from handraise import access, settings
from handraise.demo import shifts
from streams.desk.routing_file import ROUTING_FILE
from tests.e2e.deployment import ROOT, Deployment, Supervisor, until
from tests.e2e.harbourlight import PERSON, go, site

SIZES = {"wide": (1280, 800), "half": (768, 1024), "small": (360, 720)}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
ELIF = {
    "name": "Elif Demir",
    "company": "Kestrel Foods",
    "email": "elif.demir@kestrel-foods.example",
    "phone": "+351 210 123 456",
    "message": "Please call me before Thursday's audit.",
}


@dataclass
class Office:
    """A running deployment with a console, and the sample site."""

    place: Deployment
    leads: Supervisor
    desk: Supervisor
    gateway: str
    console: str
    site: str

    def link(self, rep: str, page: str) -> str:
        """A link that signs a rep in once and leads to that page."""
        here = {name: value for name, value in self.place.env.items() if name.startswith("HANDRAISE_")}
        here["HANDRAISE_CONSOLE"] = self.console.removeprefix("http://")
        return access.one_time_link(settings.read(here), rep, next=page)

    def signed_in(self, browser: Browser, rep: str, page: str = "/", **look: Any) -> Page:
        """A rep's browser, on that page."""
        found = browser.new_context(**look).new_page()
        found.goto(self.link(rep, page))
        return found

    def visitor(self, browser: Browser) -> Page:
        """A visitor's browser, on the site's first page."""
        page = browser.new_context(user_agent=PERSON).new_page()
        with page.expect_response("**/v1/p"):
            page.goto(self.site)
        return page

    def command(self, *words: str) -> Any:
        """What a command says to machines; it must succeed."""
        done = self.place.run(*words, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def kill(self, part: Supervisor) -> int:
        """Kill a worker; whoever supervises it starts another.  Returns how many there will have been."""
        part.child.process.kill()
        return part.restarts + 1


@contextmanager
def office(kafka: str, redis: str, prefix: str, folder: Path) -> Iterator[Office]:
    """Start all parts, and end them."""
    with Deployment(kafka, prefix, folder) as place:
        rules = shifts.copy(ROOT / "rules", folder / "rules")
        shutil.copy(
            ROOT / "rules" / ROUTING_FILE, rules
        )  # with ladders as shipped: no test is to race against a minute
        place.env |= {"HANDRAISE_REDIS": redis, "HANDRAISE_RULES": str(rules)}
        place.create_topics()
        gateway = place.gateway()
        leads, desk = (Supervisor(place, lambda role=role: worker(place, role)) for role in ("leads", "desk"))  # type: ignore[misc]
        mirror = place.worker(role="mirror")
        with site(gateway.url()) as url:
            console = place.console("--site", url).await_ready()
            for part in (leads, desk):
                until(part.ready, "the workers to be ready")
            mirror.await_ready()
            yield Office(place, leads, desk, gateway.url(), console.url(), url)


def presence(manager: Page, state: str, *reps: str) -> None:
    """A manager says in the console that these people can be given work, or cannot."""
    for rep in reps:
        status = manager.evaluate(
            """([rep, state]) => fetch(`/api/reps/${rep}/presence`,
            { method: "POST", body: JSON.stringify({ state }) }).then(answer => answer.status)""",
            [rep, state],
        )
        assert status == 202


def worker(place: Deployment, role: str) -> Any:
    """A worker whose successor has its partitions at once."""
    return place.worker("--instance-id", role, role=role)


def look_around(page: Page, email: str) -> None:
    """Take two papers and try the calculator: interested, and not yet hot."""
    go(page, "Papers")
    page.fill("#papers [name=email]", email)
    for button in ("#guide", "#checklist", "#calculator button"):
        with page.expect_response("**/v1/t"):
            page.click(button)


def shots(page: Page, folder: Path, name: str) -> None:
    """Pictures of a page at three sizes; nothing may stick out at the side."""
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function("document.fonts.status === 'loaded'")
        page.screenshot(path=folder / f"{name}-{size}.png", full_page=True)
        beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beyond <= 0, f"{name} is {beyond} px too wide at {width} px"
