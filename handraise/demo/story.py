"""What visitors do, from a seed: 21 days of history, then live visits, and four scenes that everybody sees."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from handraise.demo import cast
from handraise.demo.cast import (
    DUNMORE,
    ELIF,
    JONAS,
    JONAS_EMAIL,
    MARTA,
    MARTA_AT_WORK,
    MARTA_EMAIL,
    MARTA_ID,
    Person,
    Persona,
    signed_in,
)

HISTORY_DAYS = 21
DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_REPEATED = 0.01
"""Share of events whose delivery is repeated, as trackers do when an answer was lost."""
_BROKEN_EVERY = 400
"""One event in so many says nothing that can be used."""
YOUR_TURN_S = 75.0
"""When all scenes are over, and whoever watches may take part."""
_AT_ONCE = 8
"""Visitors on the site at the same time, live."""
_CALL_REQUESTED = "Call Requested"
_WARM_SHARE = 0.2
"""Share of live visits made by people who have been there before and are evaluating."""


class Scene(NamedTuple):
    """Something that everybody sees."""

    second: float
    """Of the live part."""
    person: Person
    call: dict[str, Any]
    words: str = ""


class Act(NamedTuple):
    """One call of a tracker; `at_ms` is when it happened, in milliseconds since the epoch."""

    at_ms: int
    person: Person
    message_id: str
    call: dict[str, Any]
    broken: bool = False

    def payload(self) -> dict[str, Any]:
        """The call as Segment's protocol has it."""
        person, moment = self.person, iso(self.at_ms)
        return {
            **self.call,
            "messageId": self.message_id,
            "anonymousId": person.anonymous_id,
            "userId": person.user_id,
            "timestamp": moment,
            "context": {
                "userAgent": person.user_agent,
                "traits": {"email": person.email} if person.email else {},
                "library": {"name": "handraise-demo", "version": "1"},
            },
        }


def _seeded(text: str) -> random.Random:
    return random.Random(text)  # noqa: S311 - a story, not a secret


def iso(at_ms: int) -> str:
    """A time as trackers write it."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def page(path: str) -> dict[str, Any]:
    """A page view."""
    title = cast.PAGES[path]
    return {"type": "page", "name": title, "properties": {"path": path, "url": cast.SITE + path, "title": title}}


def track(event: str, **properties: Any) -> dict[str, Any]:
    """A named event."""
    return {"type": "track", "event": event, "properties": properties}


def paper(name: str) -> dict[str, Any]:
    """The download of a paper."""
    return track("Document Downloaded", document_id=name, title=cast.PAPERS[name])


def call_me() -> dict[str, Any]:
    """What Jonas sends with the form "call me"."""
    form = {"name": JONAS.name, "company": JONAS.company, "email": JONAS_EMAIL, "phone": cast.JONAS_PHONE}
    return track(_CALL_REQUESTED, form_id="call-me", message=cast.JONAS_ASKS, **form)


def is_hand(call: dict[str, Any]) -> bool:
    """Whether somebody asks to be called."""
    return call.get("event") == _CALL_REQUESTED


def sign_in() -> dict[str, Any]:
    """What the site tells when Marta signs in."""
    return {"type": "identify", "userId": MARTA_ID, "traits": {"email": MARTA_EMAIL, "name": MARTA.name}}


def _paths(*beginnings: str) -> tuple[str, ...]:
    return tuple(path for path in cast.PAGES if path.startswith(beginnings))


_BROWSE = ("/", "/product", "/product/gateway", "/about", *_paths("/blog"))
_RESEARCH = _paths("/case-studies", "/docs", "/integrations")
_INTENT = ("/pricing", "/pricing", "/compare", "/security")

STEPS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "browse": lambda draw: page(draw.choice(_BROWSE)),
    "research": lambda draw: page(draw.choice(_RESEARCH)),
    "intent": lambda draw: page(draw.choice(_INTENT)),
    "jobs": lambda draw: page(draw.choice(_paths("/careers"))),
    "search": lambda draw: track("Products Searched", query=draw.choice(("audit", "vaccines", "price"))),
    "click": lambda draw: track("Email Link Clicked", email_id="monthly-letter", email_subject="The monthly letter"),
    "paper": lambda draw: paper(draw.choice(tuple(cast.PAPERS))),
    "webinar": lambda draw: track("Webinar Registered", webinar_id=cast.WEBINAR[0], title=cast.WEBINAR[1]),
    "form": lambda draw: track("Form Submitted", form_id=cast.FORM[0], form_title=cast.FORM[1]),
}


class Story:
    """The same seed tells the same story; only the clock it is told by differs."""

    def __init__(self, seed: int, visitors: int) -> None:
        self.seed = seed
        self._people: list[tuple[Person, Persona]] = []
        taken: set[str | None] = set()
        for number in range(visitors):
            person, persona = cast.make_up(_seeded(f"{seed}/{number}"), number, seed)
            if person.email is not None and person.email in taken:  # two visitors of one name
                person = person._replace(email=person.email.replace("@", f".{number}@"))
            taken.add(person.email)
            self._people.append((person, persona))
        self._told = 0

    def history(self, now_ms: int) -> list[Act]:
        """What happened in the days before, in order of time, repeats and a few broken events among it."""
        acts: list[Act] = []
        for number, (person, persona) in enumerate(self._people):
            draw = _seeded(f"{self.seed}/{number}/history")
            acts += self._visits(draw, person, persona, now_ms)
        acts += self._elif_before(now_ms)
        acts.sort(key=lambda act: act.at_ms)
        draw = _seeded(f"{self.seed}/deliveries")
        delivered: list[Act] = []
        for place, act in enumerate(acts, 1):
            delivered.append(act)
            if draw.random() < _REPEATED:
                delivered.append(act)
            if place % _BROKEN_EVERY == 0:
                delivered.append(self._act(act.at_ms, act.person, {"type": "track"})._replace(broken=True))
        return delivered

    def live(self) -> Iterator[tuple[Person, dict[str, Any]]]:
        """Who does what next, without end: visits of a few minutes, told in seconds."""
        draw = _seeded(f"{self.seed}/live")
        warm = [each for each in self._people if each[1].leaves_email] or self._people
        there: list[Iterator[tuple[Person, dict[str, Any]]]] = []
        while True:
            while len(there) < _AT_ONCE:
                who = draw.choice(warm) if draw.random() < _WARM_SHARE else draw.choice(self._people)
                there.append(self._one_visit(draw, *who))
            visit = draw.choice(there)
            step = next(visit, None)
            if step is None:
                there.remove(visit)
            else:
                yield step

    def act(self, at_ms: int, person: Person, call: dict[str, Any]) -> Act:
        """Something done now."""
        return self._act(at_ms, person, call)

    def names(self) -> dict[str, str]:
        """Who stands behind each e-mail address."""
        everybody = [person for person, _ in self._people] + [
            ELIF,
            DUNMORE,
            JONAS._replace(email=JONAS_EMAIL),
            signed_in(MARTA),
        ]
        return {person.email: f"{person.name}, {person.company}" for person in everybody if person.email}

    @staticmethod
    def scenes() -> list[Scene]:
        """Jonas asks to be called; Elif gets hot; a scanner clicks 14 times in 0.8 s; Marta signs in on two devices."""
        elif_is_back = f"{ELIF.name} of {ELIF.company} is back on the site"
        click = track("Email Link Clicked", email_id="monthly-letter", email_subject="The monthly letter")
        clicks = [Scene(25.0 + 0.8 * n / 14, DUNMORE, click) for n in range(13)]
        scanned = f"{DUNMORE.company}: 14 clicks in 0.8 s by what says it is a mail scanner; filtered, no points"
        return [
            Scene(3.0, JONAS, page("/")),
            Scene(4.0, JONAS, page("/call-me")),
            Scene(5.0, JONAS._replace(email=JONAS_EMAIL), call_me()),
            Scene(10.5, ELIF, page("/"), elif_is_back),
            Scene(12.0, ELIF, paper("cold-chain-audit")),
            Scene(13.5, ELIF, page("/case-studies/dairy")),
            Scene(15.0, ELIF, page("/pricing")),
            *clicks,
            Scene(25.8, DUNMORE, click, scanned),
            Scene(32.0, MARTA, page("/")),
            Scene(33.0, MARTA, page("/pricing"), "Somebody without a name looks at prices on a telephone"),
            Scene(34.0, MARTA_AT_WORK, page("/case-studies/vaccines")),
            Scene(35.0, MARTA_AT_WORK, page("/docs/installation")),
            Scene(36.0, MARTA_AT_WORK, paper("cold-chain-audit"), "Somebody without a name takes a paper on a laptop"),
            Scene(37.5, signed_in(MARTA), sign_in()),
            Scene(38.0, signed_in(MARTA_AT_WORK), sign_in()),
            Scene(40.5, signed_in(MARTA_AT_WORK), paper("roi-workbook")),
        ]

    def _elif_before(self, now_ms: int) -> list[Act]:
        """Her first visit, two days ago: the price list once, which is not enough."""
        began = now_ms - 2 * DAY_MS
        seen = ("/", "/product", "/pricing")
        return [self._act(began + n * _MINUTE_MS, ELIF, page(path)) for n, path in enumerate(seen)]

    def _visits(self, draw: random.Random, person: Person, persona: Persona, now_ms: int) -> Iterator[Act]:
        for _ in range(draw.randint(*persona.visits)):
            # Yesterday is over: what is live begins with the live part.
            at_ms = now_ms - int(draw.uniform(0.05, HISTORY_DAYS) * DAY_MS)
            for who, call in self._one_visit(draw, person, persona):
                yield self._act(at_ms, who, call)
                at_ms += draw.randrange(10_000, 4 * _MINUTE_MS)

    @staticmethod
    def _one_visit(draw: random.Random, person: Person, persona: Persona) -> Iterator[tuple[Person, dict[str, Any]]]:
        yield person, page("/")
        for _ in range(draw.randint(*persona.pages)):
            yield person, STEPS[draw.choice(persona.likes)](draw)

    def _act(self, at_ms: int, person: Person, call: dict[str, Any]) -> Act:
        self._told += 1
        return Act(at_ms, person, f"demo-{self.seed}-{self._told}", call)
