"""Raised hands at the door: which events are one, where they go, and what the form becomes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import clock
from gateway.call import Context
from gateway.hand import MOST_FIELD, MOST_MESSAGE, Forms
from schemas.codec import decode
from schemas.records import Engagement, RaisedHand
from streams.vocabulary import TOPICS
from streams.vocabulary import load as load_vocabulary
from tests.gateway.conftest import NOW, Door, config

JONAS = {
    "event": "Call Requested",
    "anonymousId": "device-7",
    "messageId": "m1",
    "properties": {
        "form_id": "call-me",
        "email": "Jonas.Vik@Brightwater.example",
        "phone": "+45 20 12 34 56",
        "name": "Jonas Vik",
        "company": "Brightwater Pharma",
        "message": "Before Thursday’s audit, please",
        "language": "da-DK",
    },
}
FORMS = Forms(load_vocabulary("vocabulary.toml", config().vocabulary_text))


async def ask(door: Door, key: str = "demo", headers: dict[str, str] | None = None, **fields: Any) -> RaisedHand:
    """Post Jonas's form with these fields beside it, or in place of its own; the hand that it becomes."""
    properties = JONAS["properties"] | fields.pop("properties", {})
    answer = await door.post("/v1/track", JONAS | fields | {"properties": properties}, key, headers=headers)
    assert answer.status_code == 200
    [hand] = door.appender.hands()
    return hand


async def test_a_raised_hand_goes_to_the_desk_alone(door: Door) -> None:
    """One record on desk.events, none on lead.events: the desk passes the event on, unchanged."""
    hand = await ask(door)
    assert [row.topic for row in door.appender.rows] == ["desk.events"]
    passed_on = decode(hand.engagement)
    assert isinstance(passed_on, Engagement)
    assert (passed_on.kind, passed_on.verdict, passed_on.email) == ("contact_request", "human", hand.email)
    assert (hand.request_id, hand.identifiers) == (passed_on.event_id.hex(), passed_on.identifiers)
    assert hand.lead_id == hand.identifiers[0]
    assert (hand.name, hand.company, hand.email) == ("Jonas Vik", "Brightwater Pharma", "jonas.vik@brightwater.example")
    assert (hand.topic, hand.language, hand.phone, hand.country) == ("sales", "da", "+4520123456", "DK")
    assert (hand.verdict, hand.message) == ("human", "Before Thursday’s audit, please")
    assert (hand.owner, hand.score_millipoints, hand.account) == (None, None, None)


@pytest.mark.parametrize(
    ("path", "age_ms", "user_agent"),
    [
        ("/v1/import", 0, ""),
        ("/v1/batch", clock.DAY_MS + 1, ""),
        ("/v1/batch", 0, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    ],
)
async def test_history_imports_and_crawlers_raise_no_hand(door: Door, path: str, age_ms: int, user_agent: str) -> None:
    """What is over a day old when it comes, what is imported and what a crawler sends goes to lead.events alone."""
    context = {"userAgent": user_agent} if user_agent else {}
    await door.post(path, {"batch": [JONAS | {"type": "track", "timestamp": NOW - age_ms, "context": context}]})
    assert [row.topic for row in door.appender.rows] == ["lead.events"]


async def test_a_hand_of_yesterday_is_answered(door: Door) -> None:
    """What was asked 24 hours ago, to the millisecond, is still a raised hand."""
    assert (await ask(door, timestamp=NOW - clock.DAY_MS)).requested_at == NOW - clock.DAY_MS


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"_gotcha": "x"}, "a field that people do not see is filled"),
        ({"email": "me@mailinator.com"}, "the e-mail address is disposable: mailinator.com"),
        ({"message": "qwrtpsdfghjk"}, "the form holds no words"),
        ({"message": "aaaaaaaaaa"}, "the form holds no words"),
        ({"message": "https://a.example https://b.example www.c.example"}, "the form is full of links"),
        ({"name": "Win at https://casino.example"}, "the form is full of links"),
    ],
)
async def test_suspects_go_to_the_desk_as_suspects(door: Door, properties: dict[str, str], reason: str) -> None:
    """A suspect is not thrown away: the desk's check queue gets it, and the event counts as a suspect's."""
    hand = await ask(door, properties=properties)
    assert (hand.verdict, hand.verdict_reasons) == ("suspect", (reason,))
    passed_on = decode(hand.engagement)
    assert isinstance(passed_on, Engagement)
    assert (passed_on.verdict, passed_on.verdict_reasons) == ("suspect", (reason,))


@pytest.mark.parametrize(
    ("said", "topic"),
    [("", "sales"), ("Pricing", "sales"), ("Technical help", "support"), ("Press", "press"), ("PARTNER?", "partner")],
)
async def test_topics(door: Door, said: str, topic: str) -> None:
    """The topic is told by words of the form's field; what has none is for sales."""
    assert (await ask(door, properties={"topic": said})).topic == topic


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"country": "tr"}, ("TR", "+4520123456", "", None)),
        ({"phone": "020 123 456", "country": ""}, ("", "020 123 456", "", None)),
        ({"preferred_channel": "Call"}, ("DK", "+4520123456", "phone", None)),
        ({"call_after": "2026-09-24T09:00:00Z"}, ("DK", "+4520123456", "", 1_790_240_400_000)),
        ({"call_after": "2020-01-01T09:00:00Z"}, ("DK", "+4520123456", "", None)),
        ({"call_after": "after lunch"}, ("DK", "+4520123456", "", None)),
    ],
)
async def test_what_the_form_wishes(
    door: Door, properties: dict[str, str], expected: tuple[str, str, str, int | None]
) -> None:
    """Country by form, else by number; a number without its country stays as typed; wishes that mean nothing go."""
    hand = await ask(door, properties=properties)
    assert (hand.country, hand.phone, hand.preferred_channel, hand.call_after) == expected


@pytest.mark.parametrize(("key", "engagements"), [("demo", 1), ("shop-key", 0)])
async def test_who_is_not_tracked_is_answered_all_the_same(door: Door, key: str, engagements: int) -> None:
    """Who opted out and asks to be contacted is a raised hand by what the form says; the device stays out of it."""
    headers = {"sec-gpc": "1", "user-agent": "Mozilla/5.0", "origin": "https://www.shop.example"}
    hand = await ask(door, key, headers)
    assert (hand.email, hand.engagement) == ("jonas.vik@brightwater.example", b"")
    assert [each[0] for each in hand.identifiers if each[0] in "uea"] == ["e"]
    tracked = door.appender.engagements()
    assert len(tracked) == engagements
    assert all(each.email is None and "opted_out" in each.flags for each in tracked)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300) | st.just("x" * 9_000),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
fields = st.sampled_from(
    [
        "message",
        "topic",
        "country",
        "language",
        "preferred_channel",
        "call_after",
        "name",
        "company",
        "phone",
        "_gotcha",
    ]
)


@given(st.dictionaries(fields, json_values, max_size=10))
def test_whatever_stands_in_a_form_makes_a_hand(form: dict[str, Any]) -> None:
    """Any JSON in any field gives a hand with a known topic and bounded texts, never an error."""
    said = Engagement(
        bytes(8), NOW, "contact_request", "", "", "human", None, ("a_bttyafj6vxarepqv",), "demo", "m", "track", "X", NOW
    )
    places = (form, {}, {})
    judged = FORMS.judge(said, places)
    assert judged.verdict == ("suspect" if judged.verdict_reasons else "human")
    hand = FORMS.read(judged, places, Context(), scored=True)
    assert hand.topic in TOPICS
    assert len(hand.message) <= MOST_MESSAGE
    assert max(len(hand.name), len(hand.company)) <= MOST_FIELD
    assert (len(hand.country), len(hand.language)) in {(0, 0), (2, 0), (0, 2), (2, 2)}
