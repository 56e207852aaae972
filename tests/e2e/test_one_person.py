"""One person, one lead: on two browsers, by alias, and by a wish on the command line; asked by the real commands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Request
from segment.analytics.client import Client

from streams.identity import event_id
from tests.e2e.books import audit
from tests.e2e.conftest import Shop
from tests.e2e.deployment import Child, Deployment, until
from tests.e2e.harbourlight import PERSON, go, site


class Profile:
    """A browser profile of its own, and the pages that its tracker told of."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page, self._url = context.new_page(), url
        self.pages: list[str] = []
        """Ids of the page events, in order."""
        self.page.on("request", self._note)
        self.page.on("pageerror", lambda error: pytest.fail(f"the page failed: {error}"))

    def _note(self, request: Request) -> None:
        if request.url.endswith("/v1/p") and request.method == "POST":
            self.pages.append(event_id("demo", json.loads(request.post_data or "")["messageId"]).hex())

    def opens(self) -> None:
        """Open the site's first page."""
        with self.page.expect_response("**/v1/p"):
            self.page.goto(self._url)

    def reloads(self) -> None:
        """Load the present page again."""
        with self.page.expect_response("**/v1/p"):
            self.page.reload()

    def signs_in(self, user: str, email: str) -> None:
        """Tell the tracker who it is."""
        with self.page.expect_response("**/v1/i"):
            self.page.evaluate("([user, email]) => analytics.identify(user, { email })", [user, email])

    def anonymous_id(self) -> str:
        """What the tracker calls this browser."""
        return str(self.page.evaluate("analytics.user().anonymousId()"))


def asked(place: Deployment, *words: str) -> dict[str, Any]:
    """What a command answers to machines; empty if it fails."""
    done = place.run(*words, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else {}


def ledger(place: Deployment, who: str, rule: str, count: int) -> list[dict[str, Any]]:
    """The rows of a rule in a lead's ledger, once there are so many."""

    def rows() -> list[dict[str, Any]] | None:
        found = [row for row in asked(place, "explain", who).get("rows", []) if row["rule"] == rule]
        return found if len(found) >= count else None

    return until(rows, f"{count} rows of {rule} for {who}") or []


def test_two_browsers_become_one_lead(shop: Shop, chromium: Browser) -> None:
    """Anonymous pages, identify, reload, a second profile, identify again: one lead whose ledger has each page once."""
    place = shop.place
    with site(shop.gateway.url()) as url:
        phone, laptop = (Profile(chromium.new_context(user_agent=PERSON), url) for _ in range(2))
        phone.opens()
        go(phone.page, "Pricing")
        laptop.opens()
        phone.signs_in("marta-lind", "Marta.Lind@Northfjord.example")
        phone.reloads()
        go(laptop.page, "Blog")
        laptop.signs_in("marta-lind", "marta.lind@northfjord.example")
        laptop.reloads()
        go(laptop.page, "Security")
        devices = [place.lead("a", profile.anonymous_id()) for profile in (phone, laptop)]
    assert (len(phone.pages), len(laptop.pages)) == (3, 4)
    rows = ledger(place, "user:marta-lind", "page_view", 7)
    assert Counter(row["event_id"] for row in rows) == Counter(phone.pages + laptop.pages)
    for profile, device in zip((phone, laptop), devices, strict=True):
        assert {row["event_id"] for row in rows if row["device"] == device} == set(profile.pages)
    told = asked(place, "lead", "user:marta-lind")
    assert [(it["kind"], it["value"]) for it in told["identifiers"]] == [
        ("user", "marta-lind"),
        ("email", "marta.lind@northfjord.example"),
        *[("anonymous", device) for device in devices],
    ]
    for device in devices:
        assert asked(place, "lead", device)["moved_to"] == told["id"] == place.lead("u", "marta-lind")
    lead = audit(place)[told["id"]]
    assert len(lead.events) == 9  # the pages, and what she told when she signed in


def test_an_alias_makes_two_accounts_one(shop: Shop) -> None:
    """A server that says `alias` joins a customer's old account, and a device, to the new one: each event once."""
    place, failures = shop.place, []
    client = Client("demo", host=shop.gateway.url(), on_error=lambda error, batch: failures.append(error))
    client.page(None, None, "Docs", {"path": "/docs/start"}, anonymous_id="till-7", message_id="alias-0")
    for number, user in enumerate(["ceyda-old", "ceyda-old", "ceyda"], 1):
        client.page(user, None, f"Page {number}", {"path": f"/page/{number}"}, message_id=f"alias-{number}")
    client.flush()
    client.alias("ceyda-old", "ceyda")
    client.alias("till-7", "ceyda")
    client.page(None, None, "Pricing", {"path": "/pricing"}, anonymous_id="till-7", message_id="alias-4")
    client.flush()
    client.join()
    assert failures == []
    rows = ledger(place, "user:ceyda", "page_view", 5)
    assert {row["event_id"] for row in rows} == {event_id("demo", f"alias-{number}").hex() for number in range(5)}
    told = [asked(place, "lead", who) for who in ("user:ceyda", "user:ceyda-old", "anonymous:till-7")]
    survivor = min(place.lead("u", "ceyda"), place.lead("u", "ceyda-old"))
    assert {it["moved_to"] or it["id"] for it in told} == {survivor}
    assert survivor in audit(place)


@pytest.fixture
def office(deploy: Callable[..., Deployment]) -> Iterator[tuple[Deployment, Child]]:
    """A deployment with two accounts of one person, who gave one telephone number; and its gateway."""
    place = deploy()
    place.create_topics()
    gateway, worker = place.gateway(), place.worker()
    worker.await_ready()
    post(
        gateway.await_ready(),
        {"type": "identify", "userId": "ana", "traits": {"phone": "+4520123456"}},
        {"type": "page", "userId": "ana", "name": "Pricing", "properties": {"path": "/pricing"}},
        {"type": "identify", "userId": "ana-2", "traits": {"phone": "0045 20 12 34 56"}},
        {"type": "page", "userId": "ana-2", "anonymousId": "tablet", "properties": {"path": "/compare"}},
    )
    until(lambda: asked(place, "lead", "user:ana-2").get("duplicates"), "the suspicion")
    yield place, gateway
    worker.stop()
    gateway.stop()


def post(gateway: Child, *calls: dict[str, Any]) -> None:
    """Tell the gateway of several things at once."""
    agent = {"context": {"userAgent": PERSON}}
    answer = httpx.post(
        f"{gateway.url()}/v1/batch", json={"batch": [agent | call for call in calls]}, auth=("demo", "")
    )
    assert answer.status_code == 200


def test_a_wish_makes_two_leads_one_and_two_again(office: tuple[Deployment, Child]) -> None:
    """`merge` joins what is suspected to be one person, limits once; `unmerge` gives each back what it had."""
    place, gateway = office
    ids = sorted(place.lead("u", user) for user in ("ana", "ana-2"))
    suspected = asked(place, "lead", ids[0])["duplicates"]
    assert [(it["id"], it["evidence"], it["status"]) for it in suspected] == [(ids[1], "phone", "suspected")]

    merged = asked(place, "lead", "merge", "anonymous:tablet", "user:ana", "--by", "the desk")
    assert (merged["done"], merged["survivor"], merged["other"]) == ("merged", *ids)
    assert sorted((it["id"], it["events"], round(it["behaviour"])) for it in merged["before"]) == [
        (id, 2, 21) for id in ids
    ]
    [after] = merged["after"]
    assert (after["id"], after["events"], round(after["behaviour"])) == (ids[0], 4, 22)  # one intent page a day
    assert asked(place, "lead", ids[1])["moved_to"] == ids[0]
    until(lambda: asked(place, "lead", ids[0])["duplicates"][0]["status"] == "resolved", "the suspicion to be resolved")

    post(gateway, {"type": "page", "userId": "ana-2", "properties": {"path": "/"}})
    ledger(place, ids[0], "page_view", 3)
    undone = asked(place, "lead", "unmerge", ids[1])
    assert [(it["id"], it["events"], round(it["behaviour"])) for it in undone["after"]] == [
        (ids[0], 3, 22),
        (ids[1], 2, 21),
    ]
    assert asked(place, "lead", ids[1])["moved_to"] is None
    again = place.run("lead", "unmerge", ids[1])
    assert (again.returncode, "was never merged" in again.stderr) == (1, True)


def test_a_suspicion_is_dismissed(office: tuple[Deployment, Child]) -> None:
    """`not-the-same` ends a suspicion, once; the leads stay two."""
    place, _ = office
    told = asked(place, "lead", "not-the-same", "user:ana", "user:ana-2")
    assert [it["evidence"] for it in told["suspicions"]] == ["phone"]
    assert [it["status"] for it in asked(place, "lead", "user:ana")["duplicates"]] == ["dismissed"]
    again = place.run("lead", "not-the-same", "user:ana", "user:ana-2")
    assert (again.returncode, "nothing suggests" in again.stderr) == (1, True)
    assert asked(place, "lead", "user:ana")["id"] != asked(place, "lead", "user:ana-2")["id"]
