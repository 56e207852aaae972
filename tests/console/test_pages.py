"""What the pages show, and what their buttons do."""

import re
from html import unescape
from typing import Any

import pytest

from console.curve import curve, ledger
from console.reader import now_ms
from schemas.codec import decode, encode
from schemas.records import Activity, Assignment, LeadAlert, Waited, Waiting
from streams.desk.lifecycle import POSSIBLE, REASONS
from streams.state import decode as decode_state
from tests.console.leads import ADDRESS, elif_demir, elif_says
from tests.console.world import RULES, World
from tests.streams.desk.harness import lead, waited

NASTY = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}{% raw %}&lt;"


async def page(world: World, rep: str, path: str) -> str:
    """A page's HTML; it must be there."""
    async with world.browser(rep) as browser:
        answer = await browser.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def row_of(html: str, request_id: str) -> str:
    """The row of a request, as HTML."""
    found = re.search(rf'<li class="row[^>]*data-request="{request_id}".*?</li>', html, re.S)
    assert found, f"no row {request_id}"
    return found.group()


async def test_a_raised_hand_says_all_that_a_call_needs(world: World) -> None:
    """Who, company, message, way to the owner in words, owner, countdown, milliseconds, telephone number."""
    hand = world.raise_hand(phone="+4520123456")
    row = row_of(await page(world, "ben", "/"), hand.request_id)
    for text in ("Jonas Vik", "Brightwater Pharma", "before Thursday", "tel:+4520123456", "Ben Holm is the only one"):
        assert text in unescape(row)
    assert re.search(r'<span class="owner">you</span>', row)
    assert re.search(r'<time class="countdown"[^>]*>(5|4) min</time>', row)
    assert re.search(r"· \d+ ms", row)
    assert ">Claim<" in row


async def test_nobody_sees_the_hands_of_others_in_their_queue(world: World) -> None:
    """Ana's page has none of Ben's; the desk board has it, and only managers have the board."""
    hand = world.raise_hand()
    assert hand.request_id not in await page(world, "ana", "/")
    assert "No hand is up" in await page(world, "ana", "/")
    assert "Ben Holm" in row_of(await page(world, "mert", "/desk"), hand.request_id)
    async with world.browser("ben") as browser:
        assert (await browser.get("/desk")).status_code == 403
        assert (await browser.get("/live?page=desk")).status_code == 403


async def test_a_hand_without_an_owner_is_everybodys(world: World) -> None:
    """While the desk is silent a hand is pending, on every page, and can be claimed."""
    world.kafka.mute = True
    hand = world.raise_hand()
    for rep in ("ana", "ben"):
        row = row_of(await page(world, rep, "/"), hand.request_id)
        assert "owner pending" in row
        assert ">Claim<" in row
    board = await page(world, "mert", "/desk")
    assert "1 person has no owner; Jonas Vik asked just now." in board


@pytest.mark.parametrize("field", ["name", "company", "message", "email", "phone", "country", "preferred_channel"])
async def test_whatever_a_form_says_is_text(world: World, field: str) -> None:
    """Markup, template code and quotes in any field are shown as they were typed, on every page."""
    hand = world.raise_hand(**{field: NASTY})
    for rep, path in (
        ("ben", "/"),
        ("mert", "/desk"),
        ("ben", f"/leads/{lead('u:visitor 1')}"),
        ("ben", "/search?q=jonas"),
    ):
        html = await page(world, rep, path)
        assert "<script>alert" not in html
        assert "<img src=x" not in html
    if field in ("name", "company", "message"):
        assert NASTY in unescape(row_of(await page(world, "ben", "/"), hand.request_id))


async def test_what_people_type_is_text(world: World) -> None:
    """Notes, searches and channels are escaped as well, and so is what a refusal quotes."""
    hand = world.raise_hand()
    await world.act("ben", "accept", hand.request_id, note=NASTY)
    for path in (f"/leads/{hand.lead_id}", f"/search?q={NASTY}", f"/login?next=/{NASTY}"):
        html = await page(world, "ben", path)
        assert "<script>alert" not in html
        assert "<img src=x" not in html
    answer = await world.act("ben", NASTY, hand.request_id)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")


async def test_claim_and_contacted(world: World) -> None:
    """Claim pauses the clock, contacted ends it; the answer is the row as it then is."""
    hand = world.raise_hand()
    claimed = await world.act("ben", "accept", hand.request_id)
    assert claimed.status_code == 200
    assert ">Contacted<" in claimed.text
    assert "taken" in claimed.text
    done = await world.act("ben", "contacted", hand.request_id, note="Thursday at nine", channel="phone")
    assert done.status_code == 200
    assert '<span class="status">reached</span>' in done.text
    assert "countdown" not in done.text
    html = await page(world, "ben", f"/leads/{hand.lead_id}")
    assert "Ben Holm reached them" in html
    assert "Thursday at nine" in html
    assert "The last one was answered just now" in await page(world, "ben", "/")


async def test_of_two_who_claim_one_wins_and_the_other_is_told_who(world: World) -> None:
    """The second is refused in words, with the row as it is: whose it is, and since when."""
    world.kafka.mute = True
    hand = world.raise_hand()
    world.kafka.mute = False
    world.raise_hand(1)
    first = await world.act("ben", "accept", hand.request_id)
    second = await world.act("ana", "accept", hand.request_id)
    assert (first.status_code, second.status_code) == (200, 409)
    assert "Ben Holm has the request of Jonas Vik of Brightwater Pharma already" in unescape(second.text)
    assert '<span class="owner">Ben Holm</span>' in second.text
    assert world.kafka.box.last(hand.request_id).owner == "ben"


async def test_decline_needs_a_reason(world: World) -> None:
    """Without one it is refused before it is said; with one the next person has it."""
    hand = world.raise_hand()
    assert (await world.act("ben", "decline", hand.request_id)).status_code == 400
    assert (await world.act("ben", "decline", hand.request_id, reason_decline="boredom")).status_code == 400
    answer = await world.act("ben", "decline", hand.request_id, reason_decline="no_time")
    assert answer.status_code == 200
    assert world.kafka.box.last(hand.request_id).owner == "ana"
    assert '<span class="owner">Ana Duarte</span>' in answer.text


async def test_every_button_is_an_activity_that_the_desk_knows(world: World) -> None:
    """What the rows offer, in whatever status, the desk carries out."""
    for kind in ("accept", "attempted", "contacted", "reopen", "won", "reopen", "lost", "reopen", "spam", "reopen"):
        hand = world.raise_hand(1)
        html = (await world.act("ben", "accept", hand.request_id)).text
        answer = await world.act("ben", kind, hand.request_id, **{f"reason_{kind}": REASONS.get(kind, ("",))[0]})
        assert set(re.findall(r'name="kind" value="(\w+)"', html + answer.text)) <= set(POSSIBLE)
        assert answer.status_code in (200, 409), kind


async def test_the_same_form_twice_counts_once(world: World) -> None:
    """Sent again under its id, an activity is on the record once."""
    hand = world.raise_hand()
    await world.act("ben", "accept", hand.request_id)
    for _ in range(2):
        await world.act("ben", "attempted", hand.request_id, activity_id="0123456789abcdef")
    assert world.kafka.box.last(hand.request_id).attempt == 1


async def test_kafka_away(world: World) -> None:
    """What cannot be taken down is said so, in the row; nothing is pretended."""
    hand = world.raise_hand()
    world.kafka.away = True
    answer = await world.act("ben", "accept", hand.request_id, note="Thursday")
    assert answer.status_code == 503
    assert "not taken down yet. Your note is kept" in answer.text
    assert ">Claim<" in answer.text
    async with world.browser("ben") as browser:
        assert (await browser.post("/presence", data={"state": "away"})).status_code == 503


async def test_the_desk_is_silent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken down and not decided yet is said so after two seconds."""
    monkeypatch.setattr("console.saying.PATIENCE_S", 0.05)
    hand = world.raise_hand()
    world.kafka.mute = True
    answer = await world.act("ben", "accept", hand.request_id)
    assert answer.status_code == 200
    assert "Taken down. The desk has not spoken yet" in answer.text


async def test_redis_away(world: World) -> None:
    """The page works with what is live and says that history is catching up; a lead's page says so and no more."""
    world.history.away = "the history does not answer"
    await world.console.look()
    hand = world.raise_hand()
    html = await page(world, "ben", "/")
    assert "Jonas Vik" in row_of(html, hand.request_id)
    assert "History is catching up: the history does not answer." in html
    assert (await world.act("ben", "accept", hand.request_id)).status_code == 200
    async with world.browser("ben") as browser:
        for path in (f"/leads/{hand.lead_id}", "/api/alerts"):
            answer = await browser.get(path)
            assert answer.status_code == 503
            assert "History is catching up" in answer.text
        assert (await browser.get("/readyz")).status_code == 200
        assert "History is catching up" in (await browser.get("/search?q=jonas")).text


async def test_nobody_on_shift_leaves_it_in_a_queue(world: World) -> None:
    """When all are off, the queue has it, its responsible person is named, and the board says who waits."""
    async with world.browser("mert") as browser:
        for rep in ("ana", "ben"):
            answer = await browser.post(f"/api/reps/{rep}/presence", json={"state": "off"})
            assert answer.status_code == 202
    hand = world.raise_hand()
    row = row_of(await page(world, "mert", "/desk"), hand.request_id)
    assert "queue desk" in row
    assert "Mert watches it" in row
    assert "1 person has no owner" in await page(world, "mert", "/desk")
    assert "queue desk" in row_of(await page(world, "ana", "/"), hand.request_id)
    people = await page(world, "mert", "/desk")
    assert re.search(r'data-rep="ana".*?<span class="word">off</span>', people, re.S)


async def test_what_may_be_spam_is_for_whoever_is_responsible(world: World) -> None:
    """A suspect is on the page of the queue's responsible person alone, with two ways out."""
    hand = world.raise_hand(verdict="suspect", verdict_reasons=("a hidden field is filled",))
    assert hand.request_id not in await page(world, "ben", "/")
    row = row_of(await page(world, "mert", "/"), hand.request_id)
    assert "may be spam" in row
    assert re.findall(r'name="kind" value="(\w+)"', row) == ["release", "spam"]
    assert (await world.act("mert", "release", hand.request_id)).status_code == 200
    assert hand.request_id in await page(world, "ben", "/")


async def test_a_hot_lead_has_reasons_and_says_how_to_follow_up(world: World) -> None:
    """Score, mark, curve and reasons in words; and that it is not to be called while it reads."""
    id, memory = elif_demir(now_ms() // 1_000)
    world.history.remember(id, memory)
    world.history.tell(
        *(each for each in (decode(out.value) for out in elif_says(now_ms() // 1_000)) if isinstance(each, LeadAlert))
    )
    waiting = Waiting(id, "hot", now_ms(), 61_000, 1, "DK", ADDRESS, ("looked at Pricing",), 0, 0)
    world.kafka.write(Waited(0, 0, encode(waiting)))
    row = row_of(await page(world, "ben", "/"), "w0-0")
    for text in ("after the visit, not now", "downloaded documents twice, last ROI workbook", "<polyline", "level 1"):
        assert text in row
    assert f'data-lead="{id}"' in row


async def test_a_hot_lead_who_raises_a_hand_is_one_row(world: World) -> None:
    """The hand stands for both: what was a hot lead's row goes, and says why."""
    world.kafka.write(waited(0, "u:visitor 1"))
    assert 'data-request="w0-0"' in await page(world, "ben", "/")
    async with world.listening("ben", "/live") as ben:
        await ben.next("hello")
        hand = world.raise_hand()
        gone = (await ben.next("gone")).json()
        assert (gone["id"], gone["text"]) == ("w0-0", "has raised a hand")
    for path in ("/", f"/leads/{hand.lead_id}"):
        html = await page(world, "ben", path)
        assert 'data-request="w0-0"' not in html
        assert hand.request_id in html


async def test_the_page_of_a_lead(world: World) -> None:
    """Score, reasons, identifiers, devices, and a ledger whose rows add up to the milli-point."""
    id, memory = elif_demir(now_ms() // 1_000)
    world.history.remember(id, memory)
    html = unescape(await page(world, "ben", f"/leads/{id}"))
    lines = re.findall(r'<td class="number" title="(-?\d+\.\d{3})">', html)
    total = re.search(r'title="(\d+\.\d{3}): the rows add up', html)
    assert total
    assert len(lines) > 5
    assert round(sum(map(float, lines)) * 1_000) == round(float(total[1]) * 1_000)
    for text in (
        "elif.demir@kestrel-foods.example",
        "not verified",
        "looked at Pricing",
        '<h2 id="points">Every point</h2>',
    ):
        assert text in html
    assert "<polyline" in html


async def test_a_moved_lead_leads_on(world: World) -> None:
    """The page of what is a part of somebody now leads to them."""
    from streams.state import Moved, encode

    id, memory = elif_demir(now_ms() // 1_000)
    world.history.remember(id, memory)
    world.history.remember("e_bbbbbbbbbbbbbbbb", encode(Moved(id, 0, 0)))
    async with world.browser("ben") as browser:
        answer = await browser.get("/leads/e_bbbbbbbbbbbbbbbb")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/leads/{id}")
        assert (await browser.get("/leads/u_cccccccccccccccc")).status_code == 404
        assert (await browser.get("/leads/..%2f..%2fetc")).status_code == 404


def test_a_curve_ends_at_the_score() -> None:
    """The sparkline's last point is the score, and from there on it falls."""
    now_s = now_ms() // 1_000
    found: Any = decode_state(elif_demir(now_s)[1])
    points = curve(found, RULES, now_s)
    assert points.past[-1] == pytest.approx(ledger(found, RULES, now_s).score_millipoints / 1_000, abs=0.01)
    assert points.ahead[0] == pytest.approx(points.past[-1])
    assert points.ahead == sorted(points.ahead, reverse=True)
    assert min(points.past) >= 0


async def test_search_finds_by_the_beginning_of_a_word(world: World) -> None:
    """Name, company and address; several words narrow it down; nothing is found by nothing."""
    world.raise_hand()
    for text in ("jon", "bright jonas", "JONAS@bright", "vik"):
        assert "Jonas Vik" in await page(world, "ben", f"/search?q={text}"), text
    for text in ("", "jonas nobody", "%"):
        assert "Jonas Vik" not in await page(world, "ben", f"/search?q={text}"), text


async def test_presence(world: World) -> None:
    """One's own switch; only managers switch others; nonsense is refused."""
    async with world.browser("ben", **{"hx-request": "true"}) as browser:
        answer = await browser.post("/presence", data={"state": "away"})
        assert re.search(r'value="away" aria-pressed="true"', answer.text)
        assert re.search(r'value="away" aria-pressed="true"', (await browser.get("/")).text)
        assert (await browser.post("/presence", data={"state": "gone"})).status_code == 400
        assert (await browser.post("/api/reps/ana/presence", json={"state": "off"})).status_code == 400
        assert (await browser.post("/api/reps/nobody/presence", json={"state": "off"})).status_code == 404


@pytest.mark.parametrize("fields", [{}, {"kind": "accept"}, {"kind": "accept", "request_id": "../.."}, {"kind": "fly"}])
async def test_what_makes_no_sense_is_refused(world: World, fields: dict[str, str]) -> None:
    """A form that names nothing, or what there is not, changes nothing."""
    async with world.browser("ben", **{"hx-request": "true"}) as browser:
        assert (await browser.post("/act", data=fields)).status_code == 400
        assert (await browser.post("/act", content=b"\xff" * 100)).status_code == 400
        assert (await browser.post("/act", content=b"a" * 100_000)).status_code == 400
    assert world.kafka.offset == 0


async def test_what_is_not_there(world: World) -> None:
    """An unknown page, request or demo is said to be so."""
    async with world.browser("ben") as browser:
        for path in ("/nowhere", "/demo", "/static/nowhere.js"):
            assert (await browser.get(path)).status_code == 404
        assert (await browser.get("/api/nowhere")).json()["code"] == "not_found"
    assert (await world.act("ben", "accept", "0123456789abcdef")).status_code in (404, 409)


async def test_the_demo_frames_the_site_and_the_queue() -> None:
    """With a site, /demo shows it beside the queue, and only our own pages may frame the queue."""
    world = World(site="http://127.0.0.1:5000/index.html")
    async with world.browser("ben") as browser:
        answer = await browser.get("/demo")
    assert '<iframe src="http://127.0.0.1:5000/index.html"' in answer.text
    policy = answer.headers["content-security-policy"]
    assert "frame-src 'self' http://127.0.0.1:5000; frame-ancestors 'self'" in policy


async def test_without_scripts_forms_work(world: World) -> None:
    """A browser that runs no script posts the form and is led back."""
    hand = world.raise_hand()
    async with world.browser("ben") as browser:
        answer = await browser.post("/act", data={"kind": "accept", "request_id": hand.request_id, "next": "/"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    said = [each for each in world.history.records if isinstance(each, Activity | Assignment)]
    assert isinstance(said[-1], Assignment)
    assert said[-1].status == "accepted"
