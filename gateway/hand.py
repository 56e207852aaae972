"""Raised hands: which events are one, what their form says, and what makes one suspect; pure functions of the event.

A form's fields are what strangers typed.  They are kept as they are, cut at a length; who shows them escapes them.
"""

from __future__ import annotations

import contextlib
import re
from functools import lru_cache
from typing import Any

import msgspec
import phonenumbers

from gateway import clock
from gateway.call import Context
from schemas.codec import encode
from schemas.records import Engagement, RaisedHand
from streams.vocabulary import Vocabulary

FRESH_MS = clock.DAY_MS
"""Nobody waits for an answer to what was asked earlier: it is scored and not routed."""
MOST_MESSAGE = 4_000
MOST_FIELD = 200
MOST_PHONE = 50
_CHANNELS = {
    "phone": ("phone", "call", "telephone", "mobile"),
    "email": ("email", "e-mail", "mail"),
    "chat": ("chat", "whatsapp", "sms", "text"),
}
_COUNTRY = re.compile(r"[A-Za-z]{2}\Z")
_LANGUAGE = re.compile(r"([A-Za-z]{2})(?:[-_].*)?\Z")
_WORD = re.compile(r"\w+")
_LINK = re.compile(r"https?://|www\.|\[url", re.IGNORECASE)
_MOST_LINKS = 2
_SAME = re.compile(r"(\w)\1{6}")
_NO_VOWEL = re.compile(r"[bcdfghjklmnpqrstvwxz]{7}", re.IGNORECASE)

Places = tuple[dict[str, Any], ...]
"""Where a form's fields may stand, the likeliest first."""


class Forms:
    """Reads raised hands by the words of the vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._words, self._hands = vocabulary, vocabulary.hands
        self._kinds = frozenset(self._hands.kinds)
        self._disposable = frozenset(self._hands.disposable)

    def may_be_hand(self, kind: str) -> bool:
        """Whether events of this kind ask to be contacted."""
        return kind in self._kinds

    def is_hand(self, engagement: Engagement) -> bool:
        """Whether a person is to answer it; crawlers, imports and what was asked over a day ago are only scored."""
        fresh = engagement.received_at - engagement.occurred_at <= FRESH_MS and "imported" not in engagement.flags
        return engagement.kind in self._kinds and engagement.verdict == "human" and fresh

    def judge(self, engagement: Engagement, places: Places) -> Engagement:
        """The same, as suspect if its form looks like no person's."""
        reasons = self._suspicions(places, engagement.email)
        return (
            msgspec.structs.replace(engagement, verdict="suspect", verdict_reasons=reasons) if reasons else engagement
        )

    def _suspicions(self, places: Places, email: str | None) -> tuple[str, ...]:
        """Why this hand may be no person's, in words; empty for most."""
        hands, found = self._hands, []
        if _first(hands.honeypot, places):
            found.append("a field that people do not see is filled")
        if email is not None and email.rpartition("@")[2] in self._disposable:
            found.append(f"the e-mail address is disposable: {email.rpartition('@')[2]}")
        message, name = _first(hands.message, places), self._name(places)
        if len(_LINK.findall(message)) > _MOST_LINKS or _LINK.search(name):
            found.append("the form is full of links")
        if any(_SAME.search(text) or _NO_VOWEL.search(text) for text in (message, name)):
            found.append("the form holds no words")
        return tuple(found)

    def read(self, engagement: Engagement, places: Places, context: Context, *, scored: bool) -> RaisedHand:
        """The hand that this engagement is; not `scored`: the desk has nothing to pass on to the lead."""
        hands = self._hands
        return RaisedHand(
            request_id=engagement.event_id.hex(),
            lead_id=engagement.identifiers[0],
            identifiers=engagement.identifiers,
            requested_at=engagement.occurred_at,
            received_at=engagement.received_at,
            topic=self._topic(_first(hands.topic, places)),
            country=_country(_first(hands.country, places), engagement.phone, engagement.country),
            language=_language(_first(hands.language, places), context),
            email=engagement.email,
            phone=engagement.phone or _first(self._words.phone_names, places)[:MOST_PHONE] or None,
            name=self._name(places)[:MOST_FIELD],
            company=self._company(places)[:MOST_FIELD],
            message=_first(hands.message, places)[:MOST_MESSAGE],
            verdict=engagement.verdict,
            verdict_reasons=engagement.verdict_reasons,
            preferred_channel=_channel(_first(hands.channel, places)),
            call_after=_call_after(_first(hands.call_after, places), engagement.received_at),
            owner=None,
            score_millipoints=None,
            account=None,
            engagement=encode(engagement) if scored else b"",
        )

    def _topic(self, text: str) -> str:
        words = set(_WORD.findall(text[:MOST_FIELD].lower()))
        return next((topic for topic, meant in self._hands.topics.items() if not words.isdisjoint(meant)), "sales")

    def _name(self, places: Places) -> str:
        words = self._words
        parts = (_first(words.first_name_names, places), _first(words.last_name_names, places))
        return _first(words.name_names, places) or " ".join(filter(None, parts))

    def _company(self, places: Places) -> str:
        """A company stands there as its name, or as an object that has one."""
        names = self._words.company_names
        objects = tuple(each for place in places for name in names if isinstance(each := place.get(name), dict))
        return _first(names, places) or _first(("name",), objects)


def _first(names: tuple[str, ...], places: Places) -> str:
    """The first text that is not blank."""
    for place in places:
        for name in names:
            value = place.get(name)
            if isinstance(value, str) and (text := value.strip()):
                return text
    return ""


def _country(said: str, phone: str | None, by_address: str) -> str:
    """What the form says, else the telephone number's country, else the address's."""
    if _COUNTRY.match(said):
        return said.upper()
    return (_country_of(phone) if phone else "") or by_address


@lru_cache(maxsize=16384)
def _country_of(phone: str) -> str:
    found = phonenumbers.region_code_for_number(phonenumbers.parse(phone)) or ""
    return found if _COUNTRY.match(found) else ""


def _language(said: str, context: Context) -> str:
    """What the form says, else the browser's language."""
    if not said and (raw := context.rest.get("locale")) is not None:
        with contextlib.suppress(msgspec.DecodeError):
            said = msgspec.json.decode(raw, type=str)
    found = _LANGUAGE.match(said)
    return found[1].lower() if found else ""


def _channel(said: str) -> str:
    word = said.lower()
    return next((channel for channel, names in _CHANNELS.items() if word in names), "")


def _call_after(said: str, received_at: int) -> int | None:
    """The wished time; one that has passed, and what is no time, is no wish."""
    try:
        at = clock.read_time(said)
    except (ValueError, OverflowError):
        return None
    return at if at is not None and at > received_at else None
