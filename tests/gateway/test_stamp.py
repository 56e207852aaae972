"""Stamping: what becomes of an event between the door and Kafka, whatever the tracker sends."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import clock
from gateway.body import RAW_NULL
from gateway.contact import locate, normal_email, normal_phone
from gateway.crawlers import judge
from gateway.problem import BadEvent
from gateway.sources import load as load_sources
from gateway.stamp import Arrival, Stamped, Stamper
from schemas.keys import partition_of
from schemas.records import Engagement
from streams import identity
from streams.vocabulary import load as load_vocabulary
from tests.gateway.conftest import NOW, SECRET, config

VOCABULARY = load_vocabulary("vocabulary.toml", config().vocabulary_text)
STAMPER = Stamper(VOCABULARY, SECRET, 4)
DEMO = load_sources("sources.toml", config().sources_text).get("demo")
assert DEMO is not None
ARRIVAL = Arrival(DEMO, NOW, None, "", False, "", False, False, False, None, RAW_NULL)
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
times = st.integers(0, 253_402_300_799_999)


def stamp(arrival: Arrival = ARRIVAL, **fields: Any) -> Stamped:
    """Stamp a track call of user u1 with these fields."""
    event = {"type": "track", "event": "Search", "userId": "u1", "messageId": "m", **fields}
    stamped = STAMPER.stamp(msgspec.Raw(json.dumps(event).encode()), arrival)
    assert stamped is not None
    return stamped


def engagement(**fields: Any) -> Engagement:
    """The record of a track call of user u1 with these fields."""
    return stamp(**fields).engagement


@given(received=times, sent=st.none() | times, original=st.none() | times)
def test_no_event_occurs_after_it_was_received(received: int, sent: int | None, original: int | None) -> None:
    """Whatever the client's clock says, occurred_at lies between 1970 and received_at, and the claims are kept."""
    clocks = clock.correct(received, sent, original)
    assert 0 <= clocks.occurred_at <= received
    assert (clocks.sent_at, clocks.original_at) == (sent, original)
    assert ("old" in clocks.flags) == (received - clocks.occurred_at > clock.OLD_AFTER_MS)


@given(received=times, age=st.integers(0, 10 * 365 * clock.DAY_MS), skew=st.integers(-clock.DAY_MS, clock.DAY_MS))
def test_a_wrong_clock_that_runs_evenly_is_corrected_exactly(received: int, age: int, skew: int) -> None:
    """However wrong the client's clock, an event that is `age` old when sent occurred `age` before it was received."""
    sent = max(age, received + skew)
    clocks = clock.correct(received, sent, sent - age)
    assert clocks.occurred_at == max(received - age, 0)


@given(times)
def test_a_time_reads_the_same_as_text_and_as_number(milliseconds: int) -> None:
    """ISO 8601 in any zone and milliseconds mean the same moment."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert clock.read_time(moment.isoformat()) == milliseconds
    assert clock.read_time(moment.isoformat().replace("+00:00", "Z")) == milliseconds
    assert clock.read_time(moment.replace(tzinfo=None).isoformat()) == milliseconds
    if milliseconds >= 100_000_000_000:
        assert clock.read_time(milliseconds) == milliseconds


@given(st.text() | st.floats() | st.integers())
def test_a_time_that_is_none_is_a_value_error(value: Any) -> None:
    """Whatever stands where a time should be is read or refused, never any other error."""
    try:
        found = clock.read_time(value)
    except (ValueError, OverflowError):
        return
    assert found is None or 0 <= found <= 253_402_300_799_999


def test_an_unreadable_clock_never_costs_the_event() -> None:
    """A time that cannot be read is flagged, and the event happened when it was received."""
    found = engagement(timestamp="yesterday", sentAt="now")
    assert (found.occurred_at, found.flags) == (NOW, ("clock_unreadable",))


def test_the_original_timestamp_goes_before_the_timestamp() -> None:
    """RudderStack's originalTimestamp is the client's claim."""
    found = engagement(originalTimestamp=NOW - 5000, timestamp=NOW - 1000, sentAt=NOW - 100)
    assert (found.occurred_at, found.original_at, found.sent_at) == (NOW - 4900, NOW - 5000, NOW - 100)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Demo Requested", "demo_request"),
        ("demo_requested", "demo_request"),
        ("demoRequested", "demo_request"),
        ("Webinar Attended", "webinar_attend"),
        ("Whitepaper Downloaded", "download"),
        ("Order Completed", "purchase"),
        ("Project Created", "custom:project_created"),
        ("", "custom:"),
        ("Ünïcode — Names!", "custom:ünïcode_names"),
    ],
)
def test_event_names_become_kinds(name: str, kind: str) -> None:
    """A name in any spelling has its kind; a name that is not known is kept as custom."""
    assert VOCABULARY.kind("track", name) == kind


@pytest.mark.parametrize(
    ("call", "event", "properties", "asset", "title"),
    [
        ("page", "", {"path": "/pricing/", "title": "Pricing"}, "/pricing", "Pricing"),
        ("page", "", {"url": "https://x.example/a/b?c=1#d"}, "/a/b", ""),
        ("page", "", {"url": "https://x.example"}, "/", ""),
        ("track", "Document Downloaded", {"document": "guide.pdf", "title": "The guide"}, "guide.pdf", "The guide"),
        ("track", "Webinar Registered", {"webinar": "w-1", "title": "Live"}, "w-1", "Live"),
        ("track", "Badge Scanned", {"show": "Expo"}, "Expo", "Expo"),
        ("track", "Form Submitted", {"form_id": 7, "form_name": "Newsletter"}, "7", "Newsletter"),
        ("track", "Product Added", {"product_id": "p1", "name": "Chair"}, "p1", "Chair"),
        ("track", "Video Playback Completed", {"content_asset_id": "v", "title": "Tour"}, "v", "Tour"),
        ("track", "Search", {"query": "  price  "}, "price", "price"),
        ("track", "Search", {"query": {"odd": 1}}, "", ""),
        ("track", "Nobody Knows", {"id": "x"}, "x", ""),
        ("identify", "", {}, "", ""),
    ],
)
def test_assets_are_found_by_kind(call: str, event: str, properties: Any, asset: str, title: str) -> None:
    """What was touched and its name come from the properties that the vocabulary names for the kind."""
    found = engagement(type=call, event=event, properties=properties)
    assert (found.asset, found.title) == (asset, title)


def test_a_page_is_also_known_from_its_context() -> None:
    """Page calls without properties take path, title, url and referrer from the context; name is the last resort."""
    page = {"path": "/docs/x", "title": "Docs", "url": "https://s.example/docs/x", "referrer": "https://r.example"}
    found = engagement(type="page", context={"page": page})
    assert (found.asset, found.title, found.url, found.referrer) == ("/docs/x", "Docs", page["url"], page["referrer"])
    assert engagement(type="screen", name="Home").asset == "Home"


@pytest.mark.parametrize("value", ["null", " NULL ", "undefined", "anonymous", "", "0", "[object Object]", "x" * 501])
def test_blocked_values_identify_nobody(value: str) -> None:
    """They are not used, flagged unless empty, and the next identifier counts."""
    stamped = stamp(userId=value, anonymousId="device")
    assert stamped.engagement.user_id is None
    assert stamped.key.startswith(b"a_")
    assert ("user_id_blocked" in stamped.engagement.flags) == bool(value)
    with pytest.raises(BadEvent) as raised:
        stamp(userId=value, anonymousId=value)
    assert raised.value.code == "no_identifier"


def test_the_key_is_the_strongest_identifiers_lead() -> None:
    """User id before e-mail before anonymous id, by the keyed hash; the partition is Kafka's for that key."""
    traits = {"email": " Ana@Acme.Example "}
    for fields, kind, value in [
        ({"userId": 42, "anonymousId": "d", "traits": traits}, "u", "42"),
        ({"userId": None, "anonymousId": "d", "traits": traits}, "e", "ana@acme.example"),
        ({"userId": None, "anonymousId": "d"}, "a", "d"),
    ]:
        stamped = stamp(**fields)
        assert stamped.key == identity.lead_id(kind, value, SECRET).encode()  # type: ignore[arg-type]
        assert stamped.partition == partition_of(stamped.key, 4)


@pytest.mark.parametrize("place", [{"traits": {}}, {"properties": {}}, {"context": {"traits": {}}}])
def test_an_email_is_found_wherever_trackers_put_it(place: dict[str, Any]) -> None:
    """Traits, the context's traits and properties may carry the address."""
    [(name, where)] = place.items()
    inner = {"traits": {"email": "A@b.example"}} if where else {"email": "A@b.example"}
    assert engagement(**{name: inner}).email == "a@b.example"


def test_a_companys_address_is_nobodys() -> None:
    """The traits of a group call are the company's and identify no person."""
    found = engagement(type="group", groupId="acme", traits={"email": "info@acme.example", "phone": "+4930123456"})
    assert (found.email, found.phone, found.flags) == (None, None, ())
    assert "info@acme.example" in found.traits


@pytest.mark.parametrize(
    ("email", "flag"),
    [("nonsense", "email_malformed"), ("a@b@c.example", "email_malformed"), ("TEST@test.com", "email_blocked")],
)
def test_a_bad_address_is_flagged_and_no_identity(email: str, flag: str) -> None:
    """A malformed or dummy address never becomes a lead; the event stays."""
    stamped = stamp(userId=None, anonymousId="d", traits={"email": email})
    assert stamped.key.startswith(b"a_")
    assert stamped.engagement.email is None
    assert flag in stamped.engagement.flags


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_none(text: str) -> None:
    """Normalising is idempotent, and never raises."""
    email, phone = normal_email(text), normal_phone(text)
    assert email is None or normal_email(email) == email
    assert phone is None or normal_phone(phone) == phone
    locate(text, truncate=True)
    judge(text)


def test_phones_are_e164() -> None:
    """A number with its country code is normalised; another is flagged."""
    assert engagement(traits={"phone": "0049 (30) 123-456"}).phone == "+4930123456"
    assert "phone_not_international" in engagement(traits={"phone": "030 123456"}).flags


def test_addresses_are_truncated_after_the_country_is_found() -> None:
    """24 bits of IPv4 and 48 of IPv6 stay, if the source says so."""
    assert locate("8.8.8.8", truncate=False) == ("8.8.8.8", "US")
    assert locate("8.8.8.8", truncate=True) == ("8.8.8.0", "US")
    assert locate("::ffff:8.8.8.8", truncate=True) == ("8.8.8.0", "US")
    assert locate("2001:4860:4860::8888", truncate=True)[0] == "2001:4860:4860::"
    assert locate("nowhere", truncate=False) == (None, "")


def test_crawlers_are_bots_with_a_reason() -> None:
    """A user agent that says it is a crawler is judged so; a browser's and none are human."""
    found = engagement(
        context={"userAgent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
    )
    assert found.verdict == "bot"
    assert "Googlebot" in found.verdict_reasons[0]
    assert engagement(context={"userAgent": CHROME}).verdict == "human"
    assert engagement().verdict == "human"


def test_event_ids_know_repeats() -> None:
    """The same message id of the same source is the same event; without one the bytes decide."""
    assert engagement(messageId="x").event_id == identity.event_id("demo", "x")
    first, again, other = (engagement(messageId=None, properties={"n": n}) for n in (1, 1, 2))
    assert first.event_id == again.event_id != other.event_id
    assert "no_message_id" in first.flags


def test_what_has_no_field_of_its_own_travels_in_the_context() -> None:
    """Group and previous ids and unknown parts are kept; what has a field is not kept twice."""
    context = {
        "ip": "8.8.8.8",
        "userAgent": CHROME,
        "campaign": {"source": "ad"},
        "locale": "de",
        "page": {"path": "/"},
    }
    found = engagement(type="alias", previousId="old", groupId="g", context=context)
    assert json.loads(found.context) == {"locale": "de", "groupId": "g", "previousId": "old"}
    assert json.loads(found.campaign) == {"source": "ad"}


@pytest.mark.parametrize("context", [5, [], "x", {"page": 5, "library": [], "ip": {}, "locale": "de"}])
def test_an_unreadable_context_never_costs_the_event(context: Any) -> None:
    """It is flagged and kept as it came."""
    found = engagement(context=context)
    assert "context_unreadable" in found.flags
    assert context in (json.loads(found.context), json.loads(found.context).get("unreadable"))


def test_properties_travel_unchanged() -> None:
    """The bytes of properties and traits are those of the tracker."""
    found = engagement(properties={"a": [1, {"b": 1.10}], "ü": "ß"}, traits={"x": 1})
    assert json.loads(found.properties) == {"a": [1, {"b": 1.10}], "ü": "ß"}
    assert json.loads(found.traits) == {"x": 1}
