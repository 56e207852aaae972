"""Seeded traffic of a busy site, as records of the inbox: visits that interleave, most of them only looking.

Ten minutes of a site with as many visitors as asked for, behind it earlier visits of some of them on the days before.
About ten events a visitor.  The same seed and start tell the same story.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Literal, NamedTuple

from schemas.codec import encode
from schemas.keys import partition_of
from schemas.records import Engagement
from streams.identity import Person, event_id, identifiers, lead_id

Tells = Literal["strongest", "all", "all, later"]
"""What events tell of visitors who are known: one identifier, so that no lead has anything to tell another; all of
them; or all of them after some anonymous events, as where people sign in midway."""
SECRET = b"a key for benchmarks"
RUSH_MS = 600_000
DAY_MS = 86_400_000
SITE = "https://www.acme.example"
BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.1 Mobile/15E148 Safari/604.1",
)
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

ORDINARY = ("/", "/about", "/team", "/news", "/product", *(f"/blog/article-{n}" for n in range(40)))
RESEARCH = ("/case-studies/kestrel", "/customers/dunmore", "/integrations/erp", "/docs/api", "/docs/start")
INTENT = ("/pricing", "/compare/others", "/security")
PAPERS = ("cold-chain-guide", "audit-checklist", "sensor-datasheet", "roi-template")
_PAGES = {"browse": ORDINARY, "read": RESEARCH, "intent": INTENT, "career": ("/careers", "/jobs/engineer")}
_TRACKS = {
    "paper": ("download", "Document Downloaded", PAPERS),
    "form": ("form_submit", "Form Submitted", ("roi-calculator", "contact-us")),
    "webinar": ("webinar_register", "Webinar Registered", ("spring-webinar", "audit-webinar")),
    "hand": ("demo_request", "Demo Requested", ("contact-us",)),
    "trial": ("trial_start", "Trial Started", ("fleet",)),
    "click": ("email_click", "Email Link Clicked", ("newsletter-7",)),
    "open": ("email_open", "Email Opened", ("newsletter-7",)),
    "search": ("search", "Products Searched", ("sensors", "price", "audit")),
    "dwell": ("dwell", "Page Dwelled", RESEARCH),
    "unsubscribe": ("unsubscribe", "Unsubscribed", ("newsletter",)),
}
# Of a hundred visitors, who does what: lookers, readers, buyers, readers of the newsletter, job seekers, bots.
_PERSONAS = (
    (60, {"browse": 40, "read": 2, "search": 1}),
    (20, {"browse": 20, "read": 6, "intent": 1, "dwell": 3, "search": 2, "paper": 1}),
    (6, {"browse": 8, "read": 4, "intent": 3, "paper": 2, "webinar": 1, "form": 2, "hand": 1, "trial": 1, "dwell": 2}),
    (8, {"open": 6, "click": 5, "browse": 6, "read": 2, "unsubscribe": 1}),
    (4, {"browse": 6, "career": 5}),
    (2, {"browse": 1}),
)
_BOT = len(_PERSONAS) - 1
_REPEATED = 0.02
_EARLIER = 0.4


class Recorded(NamedTuple):
    """A record as the lane hands it to a fold."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes


class _Visitor:
    def __init__(self, seed: int, number: int, tells: Tells) -> None:
        self.dice = random.Random(f"{seed}/{number}")
        self.persona = self.dice.choices(range(len(_PERSONAS)), [share for share, _ in _PERSONAS])[0]
        weights = _PERSONAS[self.persona][1]
        self.steps, self.weights = list(weights), list(weights.values())
        known = self.dice.random()
        self.anonymous_id = f"{number:08x}-5a4e-4d0e-9d2c-{seed:012x}"
        self.user_id = f"user-{seed}-{number}" if known < 0.25 else None
        self.email = f"visitor{number}.{seed}@company{number % 900}.example" if 0.15 < known < 0.45 else None
        self.browser = BOT if self.persona == _BOT else self.dice.choice(BROWSERS)
        self.device = (lead_id("a", self.anonymous_id, SECRET),)
        self.all = identifiers(Person(self.user_id, self.email, self.anonymous_id), SECRET)
        self.anonymous_events = self.dice.randint(1, 6) if tells == "all, later" else 0
        if tells == "strongest":
            self.all = self.all[:1]

    def event(self, at_ms: int, number: int) -> tuple[bytes, bytes]:
        """One event's key and record."""
        self.anonymous_events -= 1
        known = self.anonymous_events < 0
        ids = self.all if known else self.device
        dice, step = self.dice, self.dice.choices(self.steps, self.weights)[0]
        message = f"ajs-next-{at_ms}-{number:04x}{dice.getrandbits(32):08x}-9d2c-4e0b-8f7a"
        pages = _PAGES.get(step)
        if pages:
            kind, name, asset = "page_view", "", dice.choice(pages)
            title = f"Acme: {asset.rpartition('/')[2].replace('-', ' ').capitalize()}"
            touched: dict[str, object] = {
                "path": asset,
                "title": title,
                "url": f"{SITE}{asset}",
                "referrer": f"{SITE}/",
                "search": "",
            }
        else:
            kind, name, assets = _TRACKS[step]
            asset = dice.choice(assets)
            title = asset.replace("-", " ").capitalize()
            touched = {"name": title, "id": asset, "visible_seconds": dice.choice((20, 95, 240)), "list": "site"}
        is_bot = self.persona == _BOT
        record = encode(
            Engagement(
                event_id=event_id("bench", message),
                occurred_at=at_ms,
                kind=kind,
                asset=asset,
                title=title,
                verdict="bot" if is_bot else "human",
                email=self.email if known else None,
                identifiers=ids,
                source="bench",
                message_id=message,
                call="page" if pages else "track",
                event=name,
                received_at=at_ms + 80,
                sent_at=at_ms + 20,
                original_at=at_ms,
                user_id=self.user_id if known else None,
                anonymous_id=self.anonymous_id,
                country="DE",
                user_agent=self.browser,
                verdict_reasons=("a crawler's user agent",) if is_bot else (),
                url=f"{SITE}{asset}" if pages else SITE,
                referrer=f"{SITE}/",
                library="analytics.js npm:next-1.84.3",
                properties=json.dumps(touched, separators=(",", ":")),
                context=_CONTEXT,
            )
        )
        return ids[0].encode(), record

    def visits(self, end_ms: int, exactly: int) -> Iterator[tuple[int, int]]:
        """(begin, events) of each visit."""
        dice = self.dice
        earlier, now = dice.randint(2, 8), dice.randint(2, 14)
        if dice.random() < _EARLIER:
            yield end_ms - RUSH_MS - dice.randrange(DAY_MS // 24, 14 * DAY_MS), earlier
            exactly = max(0, exactly - earlier)
        yield end_ms - RUSH_MS + dice.randrange(RUSH_MS // 2), exactly or now


_CONTEXT = json.dumps(
    {"locale": "en-GB", "timezone": "Europe/Berlin", "screen": {"width": 1920, "height": 1080, "density": 2}},
    separators=(",", ":"),
)


def traffic(
    seed: int, visitors: int, end_ms: int, exactly: int = 0, tells: Tells = "strongest"
) -> list[tuple[bytes, bytes]]:
    """(key, value) of every event by time of arrival; the newest occurs a little before `end_ms`.

    `exactly`, over 8: so many events a visitor, repeats aside; 0: two to 22, ten on average.
    """
    every: list[tuple[int, bytes, bytes]] = []
    for number in range(visitors):
        visitor = _Visitor(seed, number, tells)
        for begin, events in visitor.visits(end_ms, exactly):
            at = begin
            for n in range(events):
                event = visitor.event(at, n)
                every.append((at, *event))
                if visitor.dice.random() < _REPEATED:
                    every.append((at + 3_000, *event))
                at += visitor.dice.choice((4_000, 12_000, 25_000, 60_000))
                if at > end_ms and not exactly:
                    break
    every.sort(key=lambda event: event[0])
    return [(key, value) for _, key, value in every]


def by_partition(events: list[tuple[bytes, bytes]], partitions: int) -> list[list[tuple[bytes, bytes]]]:
    """The events of each partition, in order."""
    places: dict[bytes, int] = {}
    found: list[list[tuple[bytes, bytes]]] = [[] for _ in range(partitions)]
    for event in events:
        place = places.get(event[0])
        if place is None:
            place = places[event[0]] = partition_of(event[0], partitions)
        found[place].append(event)
    return found
