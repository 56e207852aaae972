"""From a tracker's event to the record on lead.events: a pure function of the event, the request and the rules.

Stamped here: corrected time, kind, asset, identifiers, country, verdict by user agent, consent.  `received_at` comes
in as an argument.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec

from gateway import clock, crawlers
from gateway.call import Call, Context, read_call, read_context, read_object
from gateway.contact import locate
from gateway.hand import Forms, Places
from gateway.problem import BadEvent
from gateway.sources import Source
from gateway.who import Ids, Register
from schemas.records import Engagement, RaisedHand
from streams.identity import Person, event_id
from streams.vocabulary import CALLS, Vocabulary

_URLS = ("url", "path", "referrer")


class Arrival(NamedTuple):
    """What holds for all events of a request."""

    source: Source
    received_at: int
    sent_at: int | None
    """When the client says that it sent the request, in milliseconds."""
    address: str
    """The visitor's address if the request comes from a browser, else "": a server's own address tells nothing."""
    browser: bool
    user_agent: str
    """The visitor's user agent if the request comes from a browser, else ""."""
    global_privacy_control: bool
    do_not_track: bool
    imported: bool
    call: str | None
    """The call that the path names; None if each event says its own."""
    context: msgspec.Raw
    """The batch's context, shared by its events."""

    @property
    def opted_out(self) -> bool:
        """Whether the browser says that its visitor opted out, and the source heeds it."""
        return (self.global_privacy_control or self.do_not_track) and self.source.opt_out != "ignore"


class Stamped(NamedTuple):
    """The records that an event becomes, and where the first goes."""

    key: bytes
    partition: int
    engagement: Engagement | None
    """For lead.events; None where the hand carries it, or the visitor wishes that there be none."""
    hand: RaisedHand | None = None
    """For desk.events: somebody asks to be contacted."""


class Stamper:
    """The rules by which events are stamped."""

    def __init__(self, vocabulary: Vocabulary, secret: bytes, partitions: int) -> None:
        self._vocabulary, self._register = vocabulary, Register(vocabulary, secret, partitions)
        self._forms = Forms(vocabulary)

    def stamp(self, raw: msgspec.Raw, arrival: Arrival) -> Stamped | None:
        """Stamp one event; None if the visitor's wish is that it be dropped.  Raises BadEvent."""
        call = read_call(raw)
        name = arrival.call or (call.type or "").lower()
        if name not in CALLS:
            what = f"there is no call `{name}`" if name else "the event has no `type`"
            raise BadEvent("unknown_call", what, "the event's type", f"use one of {', '.join(CALLS)}")
        event = call.event or ""
        if name == "track" and not event:
            raise BadEvent("no_event_name", "the track call names no event", "the event's `event`", "name the event")
        properties = read_object(call.properties, "properties")
        traits = read_object(call.traits, "traits")
        context = read_context(call.context, arrival.context)
        flags: list[str] = []
        consent, anonymous = _consent(context, arrival)
        form: Places = (properties, traits, context.traits)
        if anonymous:
            asked = self._asked_by_an_opted_out(raw, call, name, event, form, context, arrival, consent)
            if arrival.source.opt_out == "drop":
                return asked
            properties, traits, context = self._without_person(properties, context)
            flags.append("opted_out")
            who = self._register.anonymous(call, flags)
            if who.anonymous_id is None:
                return asked
        else:
            asked = None
            # A group's traits are the company's, whose address and number are nobody's.
            who = self._register.person(call, properties, {} if name == "group" else traits, context, flags)
        if who.user_id is None and who.email is None and who.anonymous_id is None:
            raise BadEvent(
                "no_identifier",
                "nothing in the event identifies anybody" + (f" ({', '.join(flags)})" if flags else ""),
                "userId, anonymousId and the traits' email",
                "send at least one of them",
            )
        ids = self._register.ids(who)
        aliases = self._register.aliases(call, ids, flags) if name == "alias" and not anonymous else ()
        engagement = self._engagement(
            raw, call, name, event, properties, traits, context, arrival, who, ids, aliases, consent, flags
        )
        if not anonymous and self._forms.is_hand(engagement):
            engagement = self._forms.judge(engagement, form)
            return Stamped(ids.key, ids.partition, None, self._forms.read(engagement, form, context, scored=True))
        return Stamped(ids.key, ids.partition, engagement, asked.hand if asked else None)

    def _asked_by_an_opted_out(
        self,
        raw: msgspec.Raw,
        call: Call,
        name: str,
        event: str,
        form: Places,
        context: Context,
        arrival: Arrival,
        consent: str,
    ) -> Stamped | None:
        """The hand of somebody who does not want to be tracked, and yet asks to be contacted: what the form says.

        Their device stays out of it, unless nothing else tells the hands of two people apart.
        """
        properties, traits, _ = form
        if not self._forms.may_be_hand(self._vocabulary.kind(name, event)):
            return None
        flags: list[str] = []
        who = self._register.person(call, properties, traits, context, flags)
        who = msgspec.structs.replace(who, user_id=None, anonymous_id=None if who.email else who.anonymous_id)
        if who.email is None and who.anonymous_id is None:
            return None
        ids = self._register.ids(who)
        engagement = self._engagement(
            raw, call, name, event, properties, traits, context, arrival, who, ids, (), consent, flags
        )
        if not self._forms.is_hand(engagement):
            return None
        engagement = self._forms.judge(engagement, form)
        return Stamped(ids.key, ids.partition, None, self._forms.read(engagement, form, context, scored=False))

    def _engagement(
        self,
        raw: msgspec.Raw,
        call: Call,
        name: str,
        event: str,
        properties: dict[str, Any],
        traits: dict[str, Any],
        context: Context,
        arrival: Arrival,
        who: Person,
        ids: Ids,
        aliases: tuple[str, ...],
        consent: str,
        flags: list[str],
    ) -> Engagement:
        clocks = _clocks(call, arrival, flags)
        kind = self._vocabulary.kind(name, event)
        page = context.page
        seen = properties
        if name in ("page", "screen"):
            seen = {"name": call.name, **page, **properties} if page or call.name else properties
        asset, title = self._vocabulary.asset(kind, seen)
        message_id = str(call.messageId) if call.messageId else ""
        if not message_id:
            message_id = hashlib.blake2b(raw, digest_size=16).hexdigest()
            flags.append("no_message_id")
        if context.unreadable:
            flags.append("context_unreadable")
        if arrival.imported:
            flags.append("imported")
        user_agent = context.user_agent or arrival.user_agent
        verdict, reasons = crawlers.judge(user_agent)
        ip, country = locate(address, arrival.source.truncate_ip) if (address := _ip(context, arrival)) else (None, "")
        anonymous = "opted_out" in flags
        return Engagement(
            event_id(arrival.source.name, message_id),
            clocks.occurred_at,
            kind,
            asset,
            title,
            verdict,
            who.email,
            ids.identifiers,
            arrival.source.name,
            message_id,
            name,
            event or call.name or "",
            arrival.received_at,
            clocks.sent_at,
            clocks.original_at,
            tuple(flags),
            who.user_id,
            who.anonymous_id,
            who.phone,
            country,
            None if anonymous else ip,
            user_agent,
            reasons,
            consent,
            _text(page, "url") or _text(properties, "url"),
            _text(page, "referrer") or _text(properties, "referrer"),
            context.campaign,
            context.library,
            _json(properties) if anonymous else _json_of(call.properties),
            _json(traits) if anonymous else _json_of(call.traits),
            _rest(call, context, anonymous),
            aliases,
        )

    def _without_person(
        self, properties: dict[str, Any], context: Context
    ) -> tuple[dict[str, Any], dict[str, Any], Context]:
        """Properties, traits and context of a visitor who opted out: what was done, and nothing of who did it."""
        rest = {name: raw for name, raw in context.rest.items() if name not in ("traits", "page")}
        kept = {name: value for name, value in properties.items() if name not in self._vocabulary.personal}
        return _bare(kept), {}, context._replace(page=_bare(context.page), traits={}, rest=rest)


def _bare(page: dict[str, Any]) -> dict[str, Any]:
    """A page or properties without the queries of URLs, in which sites pass on addresses and names."""
    return {
        name: value.partition("?")[0].partition("#")[0] if name in _URLS and isinstance(value, str) else value
        for name, value in page.items()
        if name != "search"
    }


def _clocks(call: Call, arrival: Arrival, flags: list[str]) -> clock.Clocks:
    sent_at = arrival.sent_at
    try:
        if call.sentAt is not None:
            sent_at = clock.read_time(call.sentAt) or sent_at
        original_at = clock.read_time(call.originalTimestamp or call.timestamp)
    except (ValueError, OverflowError):
        flags.append("clock_unreadable")
        sent_at = original_at = None
    clocks = clock.correct(arrival.received_at, sent_at, original_at)
    flags.extend(clocks.flags)
    return clocks


def _consent(context: Context, arrival: Arrival) -> tuple[str, bool]:
    """The visitor's consent as JSON, and whether the source's policy for those who opted out applies."""
    categories = context.consent.get("categoryPreferences") if context.consent else None
    if not (context.consent or arrival.global_privacy_control or arrival.do_not_track):
        return "{}", False
    record: dict[str, Any] = dict(context.consent)
    if arrival.global_privacy_control:
        record["globalPrivacyControl"] = True
    if arrival.do_not_track:
        record["doNotTrack"] = True
    refused = arrival.global_privacy_control or arrival.do_not_track
    if isinstance(categories, dict):
        refused = refused or any(categories.get(each) is False for each in arrival.source.consent_categories)
    return _json(record), refused and arrival.source.opt_out != "ignore"


def _ip(context: Context, arrival: Arrival) -> str:
    """A browser's address is that of its connection; a server tells it of the visitor it acts for."""
    return arrival.address if arrival.browser else context.ip


def _rest(call: Call, context: Context, anonymous: bool) -> str:
    rest: dict[str, Any] = context.rest
    if call.groupId is not None and "groupId" not in rest:
        rest = {**rest, "groupId": call.groupId}
    if call.previousId is not None and not anonymous:
        rest = {**rest, "previousId": call.previousId}
    return _json(rest) if rest else "{}"


def _json(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode() if value else "{}"


def _json_of(raw: msgspec.Raw) -> str:
    text = str(raw, "utf-8")
    return "{}" if text == "null" else text


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
