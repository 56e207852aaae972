"""Harbourlight's web site: pages, each loaded with Segment's classic snippet from the gateway; and its visitors."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from tests.e2e.reading import serving

# Headless Chromium names itself so in its user agent, and is judged a bot for it; visitors' browsers do not.
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
PAGES = Path(__file__).parent / "site"
TITLES = {
    "index": "Harbourlight: the cold chain, seen",
    "pricing": "Pricing",
    "compare": "How we compare",
    "security": "Security",
    "blog": "Blog",
    "papers": "Papers",
    "call-me": "Call me",
    "thanks": "Thank you",
}


@contextmanager
def site(gateway: str) -> Iterator[str]:
    """Serve the site; the address."""
    snippet = (PAGES / "snippet.js").read_text().replace("{gateway}", gateway)
    layout = (PAGES / "layout.html").read_text()

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers with a page by its name."""

        def do_GET(self) -> None:
            name = self.path.partition("?")[0].strip("/") or "index"
            title = TITLES.get(name)
            if title is None:
                self.send_error(404)
                return
            body = (PAGES / f"{name}.html").read_text()
            page = layout.replace("{title}", title).replace("{snippet}", snippet).replace("{body}", body)
            self._send(page.encode())

        def _send(self, page: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with serving(Handler) as url:
        yield url


def go(page: Page, name: str) -> None:
    """Follow a link of the site's navigation, and stay until the page's tracker is up."""
    with page.expect_response("**/v1/p"):
        page.click(f"nav >> text={name}")
