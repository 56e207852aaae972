"""The JSON API over the same facts as the pages."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from console.reader import now_ms
from console.tojson import iso
from streams import rules
from streams.desk.rules import DeskRules
from streams.rules import Rules
from tests.console.leads import ADDRESS, elif_demir
from tests.console.test_kafka import BOX
from tests.console.world import RULES, World
from tests.streams.harness import SHIPPED

NOW_S = now_ms() // 1_000


@pytest.fixture
def known(world: World) -> str:
    """Elif's lead, and a hand of hers; its id."""
    id, memory = elif_demir(NOW_S)
    world.history.remember(id, memory)
    world.raise_hand(lead_id=id, identifiers=(id,))
    return id


async def test_a_lead(world: World, known: str) -> None:
    """The shape of `handraise lead --json`."""
    async with world.browser("ben") as browser:
        found = (await browser.get(f"/api/leads/{known}")).json()
        assert {
            "id",
            "behaviour",
            "fit",
            "grade",
            "stage",
            "hot",
            "owner",
            "identifiers",
            "reasons",
            "moved_to",
        } <= set(found)
        assert found["hot"] is True
        assert found["owner"] == "ben"
        assert {each["value"] for each in found["identifiers"]} == {"elif", ADDRESS}
        assert found["requests"][0]["status"] == "assigned"
        listed = (await browser.get("/api/leads", params={"q": "demir"})).json()["leads"]
        assert [each["id"] for each in listed] == [known]
        missing = await browser.get("/api/leads/u_cccccccccccccccc")
        assert (missing.status_code, missing.json()["code"]) == (404, "no_such_lead")


async def test_promoted_rules_are_shown_when_they_come() -> None:
    """Scores, reasons and people are those of the rules in force, though the lead was last judged by others."""
    cheap = rules.load({**SHIPPED, "model.toml": SHIPPED["model.toml"].replace("points = 20", "points = 10")})
    nobody = replace(BOX.rules, roster=replace(BOX.rules.roster, people={}))
    obey: list[Callable[[Rules, DeskRules], None]] = []

    async def follow(hand_over: Callable[[Rules, DeskRules], None]) -> None:
        obey.append(hand_over)

    world = World(follow=follow)
    await world.console.start()
    await asyncio.sleep(0)
    id, memory = elif_demir(NOW_S)
    world.history.remember(id, memory)
    async with world.browser("ben") as browser:
        before = (await browser.get(f"/api/leads/{id}/explain")).json()
        obey[0](cheap, BOX.rules)
        after = (await browser.get(f"/api/leads/{id}/explain")).json()
        lead = (await browser.get(f"/api/leads/{id}")).json()
        obey[0](cheap, nobody)
        signed_out = await browser.get(f"/api/leads/{id}")
    assert (before["model"], after["model"], lead["model"]) == (RULES.version, cheap.version, cheap.version)
    assert after["score"] < before["score"]
    assert round(sum(row["decayed"] for row in after["rows"]), 3) == after["score"]
    assert abs(lead["behaviour"] - after["score"]) < 0.01
    assert signed_out.status_code == 401
    await world.console.close()


async def test_the_ledger_adds_up(world: World, known: str) -> None:
    """Rows with three decimals, whose last column sums to the score exactly."""
    async with world.browser("ben") as browser:
        found = (await browser.get(f"/api/leads/{known}/explain")).json()
        later = (await browser.get(f"/api/leads/{known}/explain", params={"at": "2030-01-01"})).json()
        then = (NOW_S - 4 * 86_400) * 1_000
        before = (await browser.get(f"/api/leads/{known}/explain", params={"at": iso(then)})).json()
        too_early = await browser.get(f"/api/leads/{known}/explain", params={"at": "2001-01-01"})
        wrong = await browser.get(f"/api/leads/{known}/explain", params={"at": "tomorrow"})
    assert round(sum(row["decayed"] for row in found["rows"]), 3) == found["score"]
    assert later["score"] < 1
    assert before["as_of"] == iso(then)
    assert {row["at"] < iso(then) for row in before["rows"] if row["at"]} == {True}
    assert 0 < before["score"] < found["score"]
    assert (too_early.json()["code"], wrong.json()["code"]) == ("before_ledger", "bad_time")


async def test_timeline_alerts_assignments(world: World, known: str) -> None:
    """What happened to a lead; what is open, by owner."""
    async with world.browser("ben") as browser:
        events = (await browser.get(f"/api/leads/{known}/timeline")).json()["events"]
        assert {"RaisedHand", "Assignment"} <= {each["type"] for each in events}
        assert all("engagement" not in each for each in events)
        assert (await browser.get("/api/alerts")).json() == {"alerts": []}
        mine = (await browser.get("/api/assignments", params={"owner": "ben"})).json()["assignments"]
        assert [each["owner"] for each in mine] == ["ben"]
        assert (await browser.get("/api/assignments", params={"owner": "ana"})).json() == {"assignments": []}


async def test_activities(world: World, known: str) -> None:
    """Done, refused with a reason, or bad; `acknowledge` is another name of accept."""
    async with world.browser("ben") as browser:
        path = f"/api/leads/{known}/activities"
        done = await browser.post(path, json={"kind": "acknowledge"})
        assert (done.status_code, done.json()["assignment"]["status"]) == (200, "accepted")
        refused = await browser.post(path, json={"kind": "acknowledge"})
        assert (refused.status_code, refused.json()["code"]) == (409, "refused")
        for bad in ({}, {"kind": "fly"}, {"kind": "decline"}, {"kind": "accept", "request_id": "<>"}, [], "x"):
            assert (await browser.post(path, json=bad)).status_code == 400
        assert (await browser.post(path, content=b"{")).status_code == 400
        assert (await browser.post(path, content=b"1" * 100_000)).status_code == 413
        assert (await browser.post("/api/leads/nobody/activities", json={"kind": "accept"})).status_code == 400
        world.kafka.away = True
        away = await browser.post(path, json={"kind": "contacted"})
        assert (away.status_code, away.json()["code"]) == (503, "kafka_away")


async def test_taken_down_and_no_word_yet(world: World, known: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """202 while the desk is silent."""
    monkeypatch.setattr("console.saying.PATIENCE_S", 0.05)
    world.kafka.mute = True
    async with world.browser("ben") as browser:
        answer = await browser.post(f"/api/leads/{known}/activities", json={"kind": "accept"})
    assert (answer.status_code, answer.json()["status"]) == (202, "taken_down")


async def test_health_and_metrics_need_no_login(world: World) -> None:
    """What probes ask for; every metric of the list is there and no label names a person."""
    world.raise_hand()
    async with world.browser() as browser:
        assert (await browser.get("/healthz")).status_code == 200
        assert (await browser.get("/readyz")).json()["status"] == "ready"
        text = (await browser.get("/metrics")).text
    assert "handraise_console_listeners" in text
    assert "Jonas" not in text
