"""Harbourlight's web site: every page is there, no link leads nowhere, and each page tells the gateway."""

import re
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from handraise.demo.site import TITLES, answers, serving
from handraise.settings import ROOT
from streams import vocabulary

CONTENT = answers("http://127.0.0.1:8080")
PAGES = ["/" if name == "index" else f"/{name}" for name in TITLES]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_tells_the_gateway_and_links_to_pages_that_exist(path: str) -> None:
    """Segment's snippet is in each page, no placeholder is left, and every address of its own answers."""
    kind, body = CONTENT[path]
    text = body.decode()
    assert kind.startswith("text/html")
    assert "http://127.0.0.1:8080" in text and "/analytics.js/v1/" in text
    assert not re.search(r"\{(title|body|snippet|gateway)\}", text)
    links = re.findall(r'(?:href|src)="(/[^"]*)"', text)
    assert {link for link in links if link not in CONTENT} == set()


def test_no_page_loads_anything_from_elsewhere() -> None:
    """Fonts, pictures and styles are the site's own; only the tracker comes from the gateway."""
    for path in [*PAGES, "/site.css"]:
        text = CONTENT[path][1].decode().replace("http://127.0.0.1:8080", "").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import", text)


def test_the_form_speaks_the_vocabulary() -> None:
    """The fields of "call me" are those that the gateway reads, the field that nobody sees among them."""
    text = CONTENT["/call-me"][1].decode()
    names = set(re.findall(r'<(?:input|select|textarea) name="(\w+)"', text))
    words = vocabulary.load("vocabulary.toml", (ROOT / "rules/vocabulary.toml").read_text())
    assert names == {"name", "company", "email", "phone", "country", "topic", "message", "leave_blank"}
    assert {"message", "topic", "country"} <= {*words.hands.message, *words.hands.topic, *words.hands.country}
    assert "leave_blank" in words.hands.honeypot


def test_it_is_served_with_papers_to_download() -> None:
    """Pages, papers, an honest 404 and the way to the console, over HTTP on loopback."""
    with serving("http://127.0.0.1:8080", elsewhere={"/demo": lambda: "http://127.0.0.1:8081/login"}) as url:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
        for path, status in (("/pricing/?utm_source=x", 200), ("/papers/audit-checklist.pdf", 200), ("/../x", 404)):
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == status
            assert body.startswith(b"%PDF-1.4") is path.endswith(".pdf")
        connection.request("GET", "/demo")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["location"]) == (303, "http://127.0.0.1:8081/login")
        connection.close()
