"""What browsers need: preflights, origins, settings, the served build; and what they say of the visitor's wish."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.metrics import Metrics
from gateway.pages import BrowserBuild, Pages
from gateway.problem import Problem
from gateway.sources import load
from tests.gateway.conftest import Door, config
from tests.gateway.test_protocol import event

ALLOWED = "authorization, content-type, anonymousid, sentat, x-retry-count, sp-anonymous"


@pytest.mark.parametrize("path", ["/v1/t", "/v1/p", "/v1/batch", "/beacon/v1/batch"])
async def test_a_preflight_is_answered_for_a_day(door: Door, path: str) -> None:
    """The origin is echoed, every header the SDKs send is allowed, and the browser may remember it for a day."""
    asked = {
        "origin": "https://any.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    answer = await door.client.options(path, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://any.example"
    assert answer.headers["access-control-allow-headers"] == ALLOWED
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-max-age"] == "86400"
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://shop.example", 200),
        ("https://www.shop.example", 200),
        ("https://evil.example", 403),
        ("https://evilshop.example", 403),
        ("http://shop.example", 403),
        ("null", 403),
    ],
)
async def test_a_source_takes_events_from_its_own_pages(door: Door, origin: str, status: int) -> None:
    """A page of another origin is refused; servers, which send no origin, are not concerned."""
    answer = await door.post("/v1/t", event(), key="shop-key", headers={"origin": origin})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == origin
    assert (await door.post("/v1/t", event(), key="shop-key")).status_code == 200


async def test_an_origin_that_nobody_allows_gets_no_permission() -> None:
    """Without a source that allows the origin nothing is echoed."""
    text = '[[source]]\nname = "a"\nkey = "a"\norigins = ["https://a.example"]\nopt_out = "drop"'
    sources = load("sources.toml", text)
    assert sources.allow("https://a.example")
    assert not sources.allow("https://b.example")


async def test_settings_point_the_sdk_at_this_gateway(door: Door) -> None:
    """Segment's browser SDK is told to send here, by the scheme the page came by, and that nothing else is there."""
    answer = await door.client.get("/v1/projects/demo/settings", headers={"origin": "https://a.example"})
    segment = answer.json()["integrations"]["Segment.io"]
    assert segment["apiKey"] == "demo"
    assert segment["apiHost"] == "gateway.test:8080/v1"
    assert segment["protocol"] == "http"
    assert list(answer.json()["integrations"]) == ["Segment.io"]
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert (await door.client.get("/v1/projects/nobody/settings")).status_code == 401


async def test_the_build_is_served_with_key_and_parts(door: Door, tmp_path: Path) -> None:
    """The script carries the write key; its parts are served by their names, and nothing else of the disk is."""
    (tmp_path / "standalone.js").write_text("x='__WRITE_KEY__'")
    (tmp_path / "auto-track.bundle.abc.js").write_text("part")
    (tmp_path / "secret.txt").write_text("no")
    build = BrowserBuild(tmp_path / "standalone.js")
    assert build.script("demo").endswith(b"x='demo'")
    assert build.part("auto-track.bundle.abc.js") == b"part"
    assert build.part("secret.txt") is None
    assert build.part("../secret.txt") is None
    answer = await door.client.get("/analytics-next/bundles/nothing.js")
    assert answer.status_code == 404


async def test_a_missing_build_says_how_to_get_it(door: Door, tmp_path: Path) -> None:
    """Without the build: 503 that names `make setup`."""
    build = BrowserBuild(tmp_path / "standalone.js")
    pages = Pages(load("s", config().sources_text), door.appender, Metrics(), build, asyncio.Event())
    with pytest.raises(Problem, match="make setup") as raised:
        pages._build.script("demo")
    assert raised.value.status == 503


@pytest.mark.parametrize("header", [{"sec-gpc": "1"}, {"dnt": "1"}])
async def test_an_opt_out_by_header_follows_the_sources_policy(door: Door, header: dict[str, str]) -> None:
    """drop: nothing is kept; anonymous: the device without the person; ignore: as if nothing had been said."""
    asked = event(anonymousId="device", traits={"email": "a@b.example"}, context={"ip": "8.8.8.8"})
    for key in ("demo", "shop-key", "intranet-key"):
        assert (await door.post("/v1/t", asked, key=key, headers=header)).status_code == 200
    demo, intranet = door.appender.engagements()
    assert (demo.source, demo.user_id, demo.email, demo.anonymous_id, demo.ip) == ("demo", None, None, "device", None)
    assert "b.example" not in str(demo)
    assert "opted_out" in demo.flags
    assert (intranet.source, intranet.user_id, intranet.email) == ("intranet", "u1", "a@b.example")
    assert not door.appender.rejected()


async def test_nothing_of_the_person_who_opted_out_is_stored(door: Door) -> None:
    """Not in queries of URLs, nor in the context, nor in the dead letter; what was done is."""
    url = "https://s.example/pricing?email=ana@acme.example#ana@acme.example"
    page = {"url": url, "referrer": url, "search": "?email=ana@acme.example", "own": "ana@acme.example"}
    asked = {
        "type": "page",
        "anonymousId": "device",
        "properties": {"url": url, "email": "ana@acme.example"},
        "context": {"page": page, "traits": {"email": "ana@acme.example"}},
    }
    bad = {**asked, "anonymousId": None, "type": "ana@acme.example"}
    assert (await door.post("/v1/batch", {"batch": [asked, bad]}, headers={"dnt": "1"})).status_code == 200
    [row] = door.appender.rows
    assert b"ana@acme" not in row.value
    [found] = door.appender.engagements()
    assert (found.asset, found.url) == ("/pricing", "https://s.example/pricing")
    assert 'outcome="dropped",source="demo"} 1.0' in (await door.client.get("/metrics")).text


@pytest.mark.parametrize(("refused", "kept"), [({"Analytics": False}, False), ({"Ads": False}, True), ({}, True)])
async def test_a_refused_consent_category_counts_as_an_opt_out(door: Door, refused: Any, kept: bool) -> None:
    """Only the categories that the source needs matter; what was said is on record."""
    asked = event(anonymousId="d", context={"consent": {"categoryPreferences": refused}})
    await door.post("/v1/t", asked)
    [found] = door.appender.engagements()
    assert (found.user_id == "u1") is kept
    assert "categoryPreferences" in found.consent


async def test_a_browsers_address_is_its_connections(door: Door) -> None:
    """What a page claims in context.ip does not count; forwarded addresses only from a trusted proxy."""
    browser = {"origin": "https://shop.example", "x-forwarded-for": "8.8.8.8"}
    await door.post("/v1/t", event(context={"ip": "8.8.4.4"}), headers=browser)
    await door.post("/v1/t", event(context={"ip": "8.8.4.4"}))
    first, second = door.appender.engagements()
    assert first.ip == "203.0.113.9"
    assert (second.ip, second.country) == ("8.8.4.4", "US")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("9.9.9.9", ["8.8.8.8"], "9.9.9.9"),
        ("10.0.0.1", ["8.8.8.8"], "8.8.8.8"),
        ("10.0.0.1", ["1.1.1.1, 8.8.8.8, 10.0.0.2"], "8.8.8.8"),
        ("10.0.0.1", ["1.1.1.1", "8.8.8.8:443"], "8.8.8.8"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
    ],
)
def test_forwarded_addresses_are_as_true_as_the_proxies(peer: str, forwarded: list[str], client: str) -> None:
    """Read from the right, the first address that no trusted proxy has is the visitor's."""
    source = load("s", config().sources_text).get("shop-key")
    assert source is not None
    assert source.client_address(peer, forwarded) == client
