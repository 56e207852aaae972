"""Seeded stories of visitors, as trackers would tell them: sessions, papers, webinars, forms, mails, repeats, bots.

A quarter of them sign in midway, on two devices.

The same seed tells the same story on every machine.  An `Act` is what somebody did; `segment` says it as a Segment
payload and `engagement` as a record of the inbox.
"""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from schemas.records import Engagement
from streams.identity import Person, event_id, identifiers

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SECRET = b"a key for stories"
SOURCE = "demo"
SITE = "https://harbourlight.example"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

ORDINARY = ("/", "/blog/cold-chains", "/blog/audits", "/about", "/team", "/news", "/product", "/product/sensors")
RESEARCH = ("/case-studies/kestrel", "/customers/dunmore", "/integrations/erp", "/docs/api", "/docs/start")
INTENT = ("/pricing", "/compare/others", "/security", "/plans/fleet")
PAPERS = ("cold-chain-guide", "audit-checklist", "sensor-datasheet", "roi-template")
WEBINARS = ("spring-webinar", "audit-webinar")
FORMS = ("roi-calculator", "sample-request", "contact-us", "support")
QUESTIONS = ("sensors", "price", "audit")


@dataclass(frozen=True)
class Act:
    """One thing that one visitor did; times in milliseconds since the epoch."""

    arrives_ms: int
    """When the tracker delivers it; a repeat is the same act with another arrival."""
    visitor: str
    """Seed and number: two stories share nobody."""
    number: int
    at_ms: int
    kind: str
    asset: str
    user_id: str | None
    email: str | None
    anonymous_id: str
    bot: bool
    properties: dict[str, Any] = field(compare=False)

    @property
    def message_id(self) -> str:
        """The client's id of the message: equal for repeats."""
        return f"story-{self.visitor}-{self.number}"

    @property
    def title(self) -> str:
        """The human name of what was touched."""
        return self.asset.rstrip("/").rsplit("/", 1)[-1].replace("-", " ").capitalize()


@dataclass(frozen=True)
class Persona:
    """How often a kind of visitor does what, as weights, and how often they come."""

    share: int
    activity: float
    """How much they do, as a part of the story's measure."""
    weights: dict[str, int]


PERSONAS = (
    Persona(52, 0.4, {"browse": 40, "read": 2, "search": 2, "ad": 2, "dwell": 1}),
    Persona(20, 1.0, {"browse": 30, "read": 6, "intent": 1, "paper": 1, "mail": 2, "dwell": 3, "search": 2}),
    Persona(9, 2.0, {"browse": 8, "read": 4, "intent": 3, "paper": 3, "webinar": 2, "form": 2, "hand": 1, "mail": 3}),
    Persona(5, 2.0, {"browse": 9, "trial": 1, "product": 5, "shop": 3, "read": 3, "mail": 2, "intent": 1}),
    Persona(6, 0.6, {"mail": 6, "bounce": 1, "unsubscribe": 1, "news": 2, "social": 3, "refer": 1, "paper": 1}),
    Persona(5, 0.8, {"browse": 8, "career": 5, "hand": 1, "trial": 1, "intent": 2, "unsubscribe": 1, "bounce": 1}),
    Persona(3, 2.0, {"browse": 1}),
)
BOT_PERSONA = len(PERSONAS) - 1


class _Visitor:
    """One visitor with a random source of their own, so that stories do not depend on one another."""

    def __init__(self, seed: int, number: int) -> None:
        self.name = f"{seed}-{number}"
        self.random = random.Random(f"{seed}/{number}")
        self.persona = self.random.choices(range(len(PERSONAS)), [persona.share for persona in PERSONAS])[0]
        known = self.random.random()
        self.devices = [f"anon-{self.name}"]
        self.user_id = f"user-{self.name}" if known < 0.3 or known >= 0.75 else None
        has_mail = 0.15 < known < 0.55 or known >= 0.75
        self.email = f"visitor-{self.name}@company{number % 400}.example" if has_mail else None
        self.signs_in_ms: dict[str, int] = {}
        """Device → when they sign in on it, of those who do so midway."""
        self.midway = known >= 0.75
        self.acts = 0

    def lives(self, start_ms: int, end_ms: int) -> None:
        """Who signs in midway has two devices, and does so on each at a time of its own."""
        if self.midway:
            self.devices.append(f"{self.devices[0]}-2")
            self.signs_in_ms = {device: self.random.randrange(start_ms, end_ms) for device in self.devices}

    def act(self, at_ms: int, kind: str, asset: str = "", **properties: Any) -> Act:
        """Something done now; where it says so, the visitor's mail address comes with it."""
        self.acts += 1
        device = self.random.choice(self.devices)
        # Who has signed in is not signed in all the time: then the device alone tells who it is.
        told = not self.midway or (at_ms >= self.signs_in_ms[device] and self.random.random() < 0.7)
        return Act(
            arrives_ms=at_ms,
            visitor=self.name,
            number=self.acts,
            at_ms=at_ms,
            kind=kind,
            asset=asset,
            user_id=self.user_id if told else None,
            email=self.email if told else None,
            anonymous_id=device,
            bot=self.persona == BOT_PERSONA,
            properties=properties,
        )

    def step(self, at_ms: int) -> list[Act]:
        """What the visitor does next in a visit."""
        weights = PERSONAS[self.persona].weights
        what = self.random.choices(list(weights), list(weights.values()))[0]
        return _STEPS[what](self, at_ms)

    def pick(self, assets: tuple[str, ...]) -> str:
        """One of them."""
        return self.random.choice(assets)


def _page(assets: tuple[str, ...]) -> Callable[[_Visitor, int], list[Act]]:
    return lambda visitor, at_ms: [visitor.act(at_ms, "page_view", visitor.pick(assets))]


def _kind(kind: str, assets: tuple[str, ...] = ("",), **properties: Any) -> Callable[[_Visitor, int], list[Act]]:
    return lambda visitor, at_ms: [visitor.act(at_ms, kind, visitor.pick(assets), **properties)]


def _mail(visitor: _Visitor, at_ms: int) -> list[Act]:
    opened = visitor.act(at_ms, "email_open", "newsletter-7")
    return (
        [opened, visitor.act(at_ms + 9_000, "email_click", "newsletter-7")]
        if visitor.random.random() < 0.7
        else [opened]
    )


def _webinar(visitor: _Visitor, at_ms: int) -> list[Act]:
    asset = visitor.pick(WEBINARS)
    attended = visitor.act(at_ms + 2 * HOUR_MS, "webinar_attend", asset)
    return [visitor.act(at_ms, "webinar_register", asset), *([attended] if visitor.random.random() < 0.5 else [])]


def _hand(visitor: _Visitor, at_ms: int) -> list[Act]:
    kind = visitor.pick(("demo_request", "contact_request"))
    return [visitor.act(at_ms, "form_submit", "contact-us"), visitor.act(at_ms, kind, "contact-us")]


def _dwell(visitor: _Visitor, at_ms: int) -> list[Act]:
    page = visitor.pick(RESEARCH)
    seconds = visitor.random.choice((20, 89, 90, 240))
    return [visitor.act(at_ms, "page_view", page), visitor.act(at_ms + 240_000, "dwell", page, visible_seconds=seconds)]


_STEPS: dict[str, Callable[[_Visitor, int], list[Act]]] = {
    "browse": _page(ORDINARY),
    "read": _page(RESEARCH),
    "intent": _page(INTENT),
    "career": _page(("/careers", "/jobs/engineer")),
    "dwell": _dwell,
    "search": _kind("search", QUESTIONS),
    "ad": _kind("ad_click", ("spring-campaign",)),
    "paper": _kind("download", PAPERS),
    "webinar": _webinar,
    "form": _kind("form_submit", FORMS),
    "hand": _hand,
    "mail": _mail,
    "bounce": _kind("email_bounce", ("newsletter-7",), bounce_type="Hard"),
    "unsubscribe": _kind("unsubscribe", ("newsletter",)),
    "news": _kind("newsletter", ("newsletter",)),
    "social": _kind("social", ("post-1", "post-2")),
    "refer": _kind("referral", ("kestrel",)),
    "trial": _kind("trial_start", ("fleet",)),
    "product": _kind("custom:project_created", ("project-1", "project-2")),
    "shop": lambda visitor, at_ms: [
        visitor.act(
            at_ms, visitor.pick(("cart", "checkout", "video_watch", "event_scan")), visitor.pick(("kit", "show"))
        )
    ],
}


def _visits(visitor: _Visitor, start_ms: int, end_ms: int, acts: int) -> Iterator[Act]:
    """About so many acts in visits over that time, each delivered now, late, or twice."""
    visitor.lives(start_ms, end_ms)
    visits = max(1, round(acts * PERSONAS[visitor.persona].activity / 8))
    for begins_ms in sorted(visitor.random.randrange(start_ms, end_ms) for _ in range(visits)):
        at_ms = begins_ms
        for _ in range(visitor.random.randint(1, 12)):
            for act in visitor.step(at_ms):
                yield from _delivered(visitor, act, end_ms)
            at_ms += visitor.random.choice((4_000, 20_000, 60_000, 240_000, 1_799_000, 1_800_000))


def _delivered(visitor: _Visitor, act: Act, end_ms: int) -> Iterator[Act]:
    """The act at its arrival; some come hours late and some twice, as SDKs retry."""
    if act.at_ms >= end_ms:
        return
    chance = visitor.random.random()
    late_ms = visitor.random.randrange(60_000, 3 * DAY_MS) if chance < 0.04 else visitor.random.randrange(50, 900)
    first = _arriving(act, act.at_ms + late_ms)
    yield first
    if chance > 0.9:
        yield _arriving(act, first.arrives_ms + visitor.random.choice((100, 5_000, HOUR_MS, 2 * DAY_MS)))


def _arriving(act: Act, arrives_ms: int) -> Act:
    return replace(act, arrives_ms=arrives_ms)


def story(seed: int, visitors: int, start_ms: int, days: float, acts_each: int = 40) -> Iterator[Act]:
    """Tell what `visitors` visitors do from `start_ms` on for `days`, about `acts_each` apiece, by time of arrival.

    What arrives after the end arrives at the end.
    """
    end_ms = start_ms + int(days * DAY_MS)
    every = [act for number in range(visitors) for act in _visits(_Visitor(seed, number), start_ms, end_ms, acts_each)]
    every.sort(key=lambda act: (act.arrives_ms, act.visitor, act.number))
    yield from every


@functools.lru_cache(1 << 16)
def ids(user_id: str | None, email: str | None, anonymous_id: str) -> tuple[str, ...]:
    """The ids of the identifiers, strongest first."""
    return identifiers(Person(user_id, email, anonymous_id), SECRET)


def key(act: Act) -> bytes:
    """The lead's id: that of the strongest identifier in the act."""
    return ids(act.user_id, act.email, act.anonymous_id)[0].encode()


def engagement(act: Act) -> Engagement:
    """The act as the gateway would stamp it, delivered at its arrival."""
    is_page = act.kind == "page_view"
    return Engagement(
        event_id=event_id(SOURCE, act.message_id),
        occurred_at=act.at_ms,
        kind=act.kind,
        asset=act.asset,
        title=act.title,
        verdict="bot" if act.bot else "human",
        email=act.email,
        identifiers=ids(act.user_id, act.email, act.anonymous_id),
        source=SOURCE,
        message_id=act.message_id,
        call="page" if is_page else "track",
        event="" if is_page else NAMES[act.kind],
        received_at=act.arrives_ms,
        sent_at=act.arrives_ms,
        original_at=act.at_ms,
        user_id=act.user_id,
        anonymous_id=act.anonymous_id,
        user_agent=BOT if act.bot else BROWSER,
        verdict_reasons=("a crawler's user agent",) if act.bot else (),
        url=SITE + act.asset if is_page else "",
        properties=json.dumps(act.properties),
    )


NAMES = {
    "demo_request": "Demo Requested",
    "contact_request": "Contact Requested",
    "form_submit": "Form Submitted",
    "trial_start": "Trial Started",
    "download": "Document Downloaded",
    "webinar_register": "Webinar Registered",
    "webinar_attend": "Webinar Attended",
    "email_open": "Email Opened",
    "email_click": "Email Link Clicked",
    "email_bounce": "Email Bounced",
    "unsubscribe": "Unsubscribed",
    "ad_click": "Ad Clicked",
    "search": "Products Searched",
    "video_watch": "Video Playback Completed",
    "event_scan": "Badge Scanned",
    "referral": "Referred",
    "social": "Social Engaged",
    "cart": "Product Added",
    "checkout": "Checkout Started",
    "newsletter": "Newsletter Subscribed",
    "dwell": "Page Dwelled",
    "custom:project_created": "Project Created",
}
"""Segment's names of the kinds that are told by `track`."""


def segment(act: Act) -> dict[str, Any]:
    """The act as a call of Segment's protocol, with its own clock's times."""
    is_page = act.kind == "page_view"
    call: dict[str, Any] = {
        "type": "page" if is_page else "track",
        "messageId": act.message_id,
        "anonymousId": act.anonymous_id,
        "userId": act.user_id,
        "originalTimestamp": iso(act.at_ms),
        "timestamp": iso(act.at_ms),
        "sentAt": iso(act.arrives_ms),
        "context": {
            "userAgent": BOT if act.bot else BROWSER,
            "library": {"name": "story", "version": "1"},
            "traits": {"email": act.email} if act.email else {},
        },
    }
    if is_page:
        properties = {"path": act.asset, "url": SITE + act.asset, "title": act.title}
        return {**call, "name": act.title, "properties": properties}
    touched = {"name": act.title, "id": act.asset} if act.asset else {}
    return {**call, "event": NAMES[act.kind], "properties": {**touched, **act.properties}}


def iso(at_ms: int) -> str:
    """The time as trackers write it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
