"""Visitors of Harbourlight's web site, which has Segment's classic snippet in each page."""

from __future__ import annotations

from playwright.sync_api import Page

from handraise.demo.site import serving as site

__all__ = ["PERSON", "ask", "go", "site"]

# Headless Chromium names itself so in its user agent, and is judged a bot for it; visitors' browsers do not.
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"


def go(page: Page, name: str) -> None:
    """Follow a link of the site's navigation, and stay until the page's tracker is up."""
    with page.expect_response("**/v1/p"):
        page.click(f"nav >> text={name}")


def ask(page: Page, **fields: str) -> None:
    """Fill in the form of the page `Call me`, and send it."""
    for name, value in fields.items():
        page.fill(f"#call-me [name={name}]", value)
    page.click("#call-me button")
    page.wait_for_url("**/thanks")
