"""From a raised hand to the right screen: a visitor in one browser, a rep in another, all real between them."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from handraise.demo import cast
from tests.e2e import pictures
from tests.e2e.books import audit
from tests.e2e.deployment import until
from tests.e2e.harbourlight import ask, go
from tests.e2e.office import ELIF, SIZES, THEMES, Office, look_around, office, presence, shots

SCRIPT = '<script>window.pwned = 1</script><img src=x onerror="window.pwned = 1">'
PATIENCE_MS = 30_000
"""For what takes over from a worker that was killed."""


@pytest.fixture(scope="module")
def opened(kafka: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The office, open at every hour."""
    with office(kafka, redis_url, f"e2e{secrets.token_hex(4)}.", tmp_path_factory.mktemp("office")) as found:
        yield found


def watched(page: Page) -> Page:
    """A page on which nothing may fail."""
    page.on("pageerror", lambda error: pytest.fail(f"the page failed: {error}"))
    return page


def test_from_a_visit_to_a_conversation(opened: Office, chromium: Browser) -> None:
    """A visitor gets hot, then asks to be called; the rep sees both by themselves, claims it, and was in contact.

    The worker that scores is killed before the visitor gets hot, and the desk before the hand is raised: the screens
    show the same, and afterwards the books and the audit are clean.
    """
    rep, visitor = watched(opened.signed_in(chromium, "ana")), watched(opened.visitor(chromium))
    look_around(visitor, ELIF["email"])
    scoring = opened.kill(opened.leads)
    go(visitor, "Pricing")
    hot = rep.locator("li.lead", has_text=ELIF["email"])
    expect(hot).to_be_visible(timeout=PATIENCE_MS)
    for reason in ("downloaded documents twice, last Audit checklist", "looked at Pricing", "the loss calculator"):
        expect(hot.locator(".reasons")).to_contain_text(reason)
    assert opened.leads.restarts == scoring

    go(visitor, "Call me")
    deciding = opened.kill(opened.desk)
    ask(visitor, **ELIF)
    hand = rep.locator("li.hand", has_text=ELIF["message"])
    expect(hand).to_be_visible(timeout=10_000)
    expect(hand.locator(".owner")).to_have_text("you", timeout=PATIENCE_MS)
    assert opened.desk.restarts == deciding
    expect(hand).to_contain_text(ELIF["name"])
    expect(hand.locator(".countdown")).to_be_visible()

    hand.get_by_role("button", name="Claim").click()
    expect(hand.locator(".status")).to_contain_text("taken")
    hand.get_by_role("button", name="Contacted").click()
    expect(hand.locator(".countdown")).to_have_count(0)
    expect(rep.locator(".countdown").filter(visible=True)).to_have_count(0)
    until(lambda: opened.command("audit")["final"] == 1, "the audit to see the end")
    assert opened.command("audit")["problems"] == []
    lead = opened.place.lead("e", ELIF["email"])
    assert audit(opened.place)[lead].events


def test_a_form_with_script_in_every_field_is_text_on_the_screen(opened: Office, chromium: Browser) -> None:
    """What strangers type runs nowhere: not in the queue, on the lead's page, on the desk board or in a search."""
    mailbox = f"{secrets.token_hex(4)}@kestrel-foods.example"
    visitor = opened.visitor(chromium)
    go(visitor, "Call me")
    ask(visitor, name=f"Eve {SCRIPT}", company=SCRIPT, email=mailbox, phone=SCRIPT, message=f"Hello {SCRIPT}")
    rep = watched(opened.signed_in(chromium, "ben"))
    row = rep.locator("li.hand", has_text=f"Hello {SCRIPT}")
    expect(row).to_be_visible()
    expect(row).to_contain_text(f"Eve {SCRIPT}")
    row.locator("a.who").click()
    expect(rep.locator("main")).to_contain_text(f"Eve {SCRIPT}")
    for path in ("/", "/search?q=eve"):
        rep.goto(opened.console + path)
        expect(rep.locator("main")).to_contain_text("<script>")
        assert rep.evaluate("window.pwned") is None
    manager = watched(opened.signed_in(chromium, "mert", "/desk"))
    expect(manager.locator("li.hand", has_text=SCRIPT)).to_be_visible()
    assert manager.evaluate("window.pwned") is None


def test_with_nobody_on_shift_the_queue_has_it(opened: Office, chromium: Browser) -> None:
    """When everybody is off a hand waits in the named queue, on the board of whoever is responsible."""
    manager, visitor = watched(opened.signed_in(chromium, "mert", "/desk")), opened.visitor(chromium)
    presence(manager, "off", "ana", "ben")
    go(visitor, "Call me")
    wish = f"Tomorrow is fine, too ({secrets.token_hex(4)})"
    ask(visitor, name="Freja Holst", email="freja.holst@isbre-foods.example", message=wish)
    row = manager.locator("li.hand", has_text=wish)
    expect(row.locator(".owner")).to_have_text("queue desk")
    expect(row.locator(".slot")).to_be_visible()
    presence(manager, "on", "ana", "ben")
    assert opened.command("audit")["problems"] == []


@pytest.fixture(scope="module")
def lived_in(opened: Office) -> Office:
    """The same office with some of the demo's visitors, and people who ask to be called."""
    pictures.fill(opened, visitors=20)
    return opened


@pytest.mark.parametrize("theme", THEMES)
def test_every_page_fits_every_screen(lived_in: Office, chromium: Browser, theme: str, tmp_path: Path) -> None:
    """Queue, leads, demo, desk and login at three sizes in both themes: all is drawn, and nothing sticks out."""
    rep = watched(lived_in.signed_in(chromium, "ben", color_scheme=theme))
    row = rep.locator("li.hand", has_text=cast.JONAS.name)
    expect(row.locator(".owner")).to_have_text("you")
    asked, hot = row.get_attribute("data-lead"), lived_in.place.lead("e", str(cast.ELIF.email))
    manager = watched(lived_in.signed_in(chromium, "mert", "/desk", color_scheme=theme))
    expect(manager.locator("li.hand", has_text=cast.JONAS.name)).to_be_visible()
    mine = {"queue": "/", "asked": f"/leads/{asked}", "hot": f"/leads/{hot}", "demo": "/demo", "login": "/login"}
    shown = [(manager, "desk", "/desk"), *((rep, name, path) for name, path in mine.items())]
    for page, name, path in shown:
        page.goto(lived_in.console + path)
        shots(page, tmp_path, f"{name}-{theme}")
    assert len(list(tmp_path.glob("*.png"))) == len(shown) * len(SIZES)


def test_the_pictures_of_the_readme_can_be_drawn_anew(lived_in: Office, chromium: Browser, tmp_path: Path) -> None:
    """The office shows what the README shows."""
    pictures.draw(lived_in, chromium, tmp_path)
    assert {file.stem for file in tmp_path.glob("*.png")} == set(pictures.STILLS)
    assert len({frame for frame, _ in pictures.film(lived_in, chromium)}) > 5
    drawn = {file.stem for file in pictures.FOLDER.glob("*.png")}
    assert drawn == {*pictures.STILLS, "clip"}
