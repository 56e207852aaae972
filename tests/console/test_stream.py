"""What is pushed: rows to pages, JSON to services; once, in time, and withdrawn if it must be."""

import asyncio
import json

import pytest

from console import stream
from console.hub import Place
from console.reader import now_ms
from console.sessions import COOKIE, LASTS_MS
from schemas.records import Assignment, LeadAlert, Reason
from tests.console.world import World
from tests.streams.desk.harness import lead


def alert(number: int) -> LeadAlert:
    """Somebody got hot."""
    reasons = (Reason("looked at Pricing", "intent_page", 20_000),)
    who = (1, reasons, "after_session", None, "elif")
    return LeadAlert(f"alert {number}", "hot_lead", lead("u:elif"), now_ms(), 61_000, *who, "m", None, 0, 0)


async def test_a_raised_hand_arrives_with_its_owner(world: World) -> None:
    """The first row that a page is sent of a hand has owner and countdown: it does not flicker on other pages."""
    async with world.listening("ben", "/live") as ben, world.listening("ana", "/live") as ana:
        await ben.next("hello")
        await ana.next("hello")
        hand = world.raise_hand()
        row = await ben.next("row")
        assert f'data-request="{hand.request_id}"' in row.data
        assert '<span class="owner">you</span>' in row.data
        assert "countdown" in row.data
        await asyncio.sleep(2 * stream.PENDING_S)
        assert [each.name for each in ana.rest()] == []


async def test_a_hand_that_the_desk_is_silent_about_is_shown_at_once(world: World) -> None:
    """With no desk a hand is on every page within a moment, owner pending."""
    world.kafka.mute = True
    async with world.listening("ana", "/live") as ana:
        await ana.next("hello")
        world.raise_hand()
        assert "owner pending" in (await ana.next("row")).data


async def test_what_is_somebody_elses_now_goes_with_the_reason(world: World) -> None:
    """Who had a row is told who has it, since when; the board keeps it until it is closed."""
    hand = world.raise_hand()
    async with world.listening("ben", "/live") as ben, world.listening("mert", "/live?page=desk") as mert:
        await ben.next("hello")
        await mert.next("hello")
        await world.act("ben", "decline", hand.request_id, reason_decline="no_time")
        gone = (await ben.next("gone")).json()
        assert gone["id"] == hand.request_id
        assert gone["text"].startswith("Ana has it since ")
        assert "Ana Duarte" in (await mert.next("row")).data
        await world.act("ana", "contacted", hand.request_id)
        assert (await mert.next("gone")).json()["text"].startswith("reached by Ana at ")


async def test_who_loses_a_request_is_told(world: World) -> None:
    """When a colleague claims what was mine, the page says so in words."""
    hand = world.raise_hand()
    async with world.listening("ben", "/live") as ben:
        await ben.next("hello")
        await world.act("ana", "accept", hand.request_id)
        assert "Ana Duarte has taken the request" in (await ben.next("note")).json()["text"]


async def test_what_was_aborted_is_withdrawn(world: World) -> None:
    """A decision that never was is taken back on the page and in the API; the hand waits for the next one."""
    async with world.listening("ben", "/live") as ben, world.listening("ben", "/api/stream") as api:
        await ben.next("hello")
        await api.next("hello")
        hand = world.raise_hand()
        await ben.next("row")
        shown = (await api.next("assignment")).json()
        world.history.records = [each for each in world.history.records if not isinstance(each, Assignment)]
        world.hub.settle("lead.assignments", 0, 1_000, set(), now_ms())
        withdrawn = (await api.next("withdrawn")).json()
        assert (withdrawn["id"], withdrawn["kind"]) == (shown["id"], "assignment")
        row = (await ben.next("row")).data
        assert "the desk decides anew" in row
        assert "owner pending" in row
        again = world.kafka.box.last(hand.request_id)
        world.hub.show(shown["id"], again, Place("lead.assignments", 0, 2_000), now_ms(), transactional=True)
        assert '<span class="owner">you</span>' in (await ben.next("row")).data


async def test_who_comes_back_is_sent_what_was_missed(world: World) -> None:
    """With the last id that was seen, everything after it comes, and what is known is known by its id."""
    async with world.listening("ben", "/api/stream") as api:
        await api.next("hello")
        world.kafka.show("alert 1", alert(1), "lead.alerts", 1)
        first = await api.next("alert")
    world.kafka.show("alert 2", alert(2), "lead.alerts", 2)
    async with world.listening("ben", "/api/stream", first.id) as api:
        assert (await api.next("hello", "gap")).name == "hello"
        again, second = await api.next("alert"), await api.next("alert")
        assert [each.json()["id"] for each in (again, second)] == ["alert 1", "alert 2"]
    async with world.listening("ben", "/api/stream") as api:
        await api.next("hello")
        assert api.rest() == []


async def test_a_page_misses_nothing_between_its_making_and_its_stream(world: World) -> None:
    """The stream begins at the time that the page was made."""
    made = now_ms()
    hand = world.raise_hand()
    async with world.listening("ben", f"/live?since={made}") as ben:
        assert hand.request_id in (await ben.next("row")).data


async def test_whoever_was_away_too_long_is_told_to_read_anew(world: World) -> None:
    """What is older than the ring is not pretended to be complete."""
    for number in range(20_100):
        world.hub.show(f"x{number}", alert(1), Place("lead.alerts", 0, number), now_ms(), transactional=False)
    async with world.listening("ben", "/api/stream", "1000") as api:
        assert (await api.next("hello", "gap")).name == "gap"
    async with world.listening("ben", "/live", "1000") as page:
        assert (await page.next("hello", "gap")).name == "gap"


async def test_the_api_tells_records_as_json(world: World) -> None:
    """Field names of the schemas, times as RFC 3339, points as numbers."""
    async with world.listening("ben", "/api/stream") as api:
        await api.next("hello")
        world.kafka.show("alert 1", alert(1), "lead.alerts", 1)
        data = (await api.next("alert")).json()
        assert data["alert"]["behaviour"] == 61.0
        assert data["alert"]["reasons"] == [{"text": "looked at Pricing", "rule": "intent_page", "points": 20.0}]
        assert data["alert"]["at"].endswith("Z")
        hand = world.raise_hand()
        assignment = (await api.next("assignment")).json()["assignment"]
        assert (assignment["request_id"], assignment["owner"]) == (hand.request_id, "ben")
        json.dumps(assignment)


async def test_a_stream_ends_with_the_session(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens on a session that is over."""
    monkeypatch.setattr(stream, "_IDLE_S", 0.01)
    cookie = world.console.sessions.begin("ben", now_ms() - LASTS_MS + 300)
    async with world.browser(cookie=f"{COOKIE}={cookie}") as browser:
        answer = await asyncio.wait_for(browser.get("/live"), 5)
    assert "event: bye" in answer.text
    assert world.hub.count() == 0


async def test_streams_end_with_the_console(world: World) -> None:
    """When the console ends, listeners are let go, and nobody stays behind."""
    async with world.listening("ben", "/live") as ben:
        await ben.next("hello")
        await world.console.close()
        await ben.next("bye")
    assert world.hub.count() == 0


async def test_trouble_is_told_as_it_comes_and_goes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history that falls behind is said on the page without reloading, and so is that it is well again."""
    monkeypatch.setattr(stream, "_IDLE_S", 0.02)
    async with world.listening("ben", "/live") as ben:
        await ben.next("hello")
        for why in ("the history does not answer", ""):
            world.history.away = why
            await world.console.look()
            assert (why in (text := (await ben.next("trouble")).json()["text"])) and bool(text) is bool(why)
