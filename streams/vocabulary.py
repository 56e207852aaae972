"""What trackers' calls mean: event names to kinds, properties to assets, values that never identify anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from streams import rulefile
from streams.identity import folded

CALLS = ("page", "screen", "track", "identify", "group", "alias")
"""The tracker's calls that are events, by Segment's names."""

TOPICS = ("sales", "support", "partner", "press")
"""What a raised hand can be about."""

MAX_ASSET_CHARACTERS = 400
"""Longer assets and titles are cut: they are names, and stand in states and alerts."""

_AROUND = " \t\"'`´‘’“”<>()[]{}"
"""What people and programs put around a value."""
_ZEROS = "0-_.: "
_KIND = re.compile(r"[a-z][a-z0-9_]*\Z")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[\W_]+")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*([^?#]*)", re.IGNORECASE)


class Naming(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Properties that say what was touched, in order of preference."""

    asset: tuple[str, ...]
    title: tuple[str, ...]


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mail provider that takes several spellings of an address for one mailbox."""

    also: tuple[str, ...] = ()
    """Its other domains."""
    ignores_dots: bool = False


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which values identify, and where they stand."""

    blocked: tuple[str, ...]
    blocked_emails: tuple[str, ...]
    blocked_mailboxes: tuple[str, ...]
    email: tuple[str, ...]
    phone: tuple[str, ...]
    name: tuple[str, ...]
    first_name: tuple[str, ...]
    last_name: tuple[str, ...]
    company: tuple[str, ...]
    personal: tuple[str, ...]
    providers: dict[str, Provider] = {}
    """By the domain that stands for all of them."""


class Hands(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is a raised hand, where its form's fields stand, and what makes it suspect."""

    kinds: tuple[str, ...]
    message: tuple[str, ...]
    topic: tuple[str, ...]
    country: tuple[str, ...]
    language: tuple[str, ...]
    channel: tuple[str, ...]
    call_after: tuple[str, ...]
    honeypot: tuple[str, ...]
    disposable: tuple[str, ...]
    topics: dict[str, tuple[str, ...]]
    """Topic → words that mean it; what has none of them is for sales."""


class VocabularyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """rules/vocabulary.toml as written."""

    calls: dict[str, str]
    events: dict[str, str]
    assets: dict[str, Naming]
    hands: Hands
    identity: Identity


class Vocabulary:
    """The compiled vocabulary: answers for the gateway, one call each."""

    def __init__(self, rules: VocabularyFile) -> None:
        self._calls = dict(rules.calls)
        self._events = {snake_case(name): kind for name, kind in rules.events.items()}
        self._assets = {kind: naming for kind, naming in rules.assets.items() if kind != "default"}
        self._default = rules.assets["default"]
        self.hands = rules.hands
        self._blocked = frozenset(folded(value).strip(_AROUND) for value in rules.identity.blocked)
        self._blocked_emails = frozenset(value.lower() for value in rules.identity.blocked_emails)
        self._blocked_mailboxes = frozenset(value.lower() for value in rules.identity.blocked_mailboxes)
        self._providers = {
            spelling: (domain, provider.ignores_dots)
            for domain, provider in rules.identity.providers.items()
            for spelling in (domain, *provider.also)
        }
        self.email_names = rules.identity.email
        self.phone_names = rules.identity.phone
        self.name_names = rules.identity.name
        self.first_name_names = rules.identity.first_name
        self.last_name_names = rules.identity.last_name
        self.company_names = rules.identity.company
        self.personal = frozenset(rules.identity.personal)
        # Sites use few names; a stranger who makes up many costs a bounded cache and no more.
        self._track_kind = lru_cache(maxsize=4096)(self._find_track_kind)

    def kind(self, call: str, event: str) -> str:
        """The kind of a call; of a track call by its event name, `custom:<snake_case>` if the name is not known."""
        if call != "track":
            return self._calls[call]
        return self._track_kind(event) if len(event) <= MAX_ASSET_CHARACTERS else self._find_track_kind(event)

    def asset(self, kind: str, properties: Mapping[str, object]) -> tuple[str, str]:
        """What was touched and its human name, from the event's properties; "" for what they do not tell."""
        naming = self._assets.get(kind, self._default)
        asset = _first(naming.asset, properties)
        return path_of(asset)[:MAX_ASSET_CHARACTERS], _first(naming.title, properties)[:MAX_ASSET_CHARACTERS]

    def identifies(self, value: str) -> bool:
        """Whether an id or a name can identify somebody: no blocked value in any spelling, no zeros only, not empty."""
        bare = folded(value).strip(_AROUND)
        return bare not in self._blocked and bool(bare.strip(_ZEROS))

    def email_identifies(self, email: str) -> bool:
        """Whether a normalised address can identify somebody; "null@…" and well-known dummies cannot."""
        mailbox = self.mailbox(email)
        return (
            email not in self._blocked_emails
            and mailbox not in self._blocked_emails
            and mailbox.partition("@")[0] not in self._blocked_mailboxes
        )

    def mailbox(self, email: str) -> str:
        """The spelling by which a normalised address is compared with others: no tag, no dots where they do not count.

        Two addresses with one mailbox may belong to one person.  They need not: not every provider knows tags.
        """
        name, _, domain = email.rpartition("@")
        domain, ignores_dots = self._providers.get(domain, (domain, False))
        name = name.partition("+")[0] or name
        return f"{name.replace('.', '') if ignores_dots else name}@{domain}"

    def kinds(self) -> frozenset[str]:
        """Every kind that has a name; others are `custom:…`."""
        return frozenset(self._calls.values()) | frozenset(self._events.values())

    def _find_track_kind(self, event: str) -> str:
        name = snake_case(event)
        return self._events.get(name) or f"custom:{name[:MAX_ASSET_CHARACTERS]}"


def load(file: str, text: str) -> Vocabulary:
    """The vocabulary in the TOML `text` of `file`.  Raises RuleError with line, field and remedy."""
    rules = rulefile.parse(file, text, VocabularyFile)
    for call in CALLS:
        if call != "track" and call not in rules.calls:
            raise rulefile.fail(file, text, "$.calls", f"the call `{call}` has no kind", f'add `{call} = "…"` there')
    for call in rules.calls:
        if call not in CALLS or call == "track":
            remedy = "remove it; calls are page, screen, identify, group and alias"
            raise rulefile.fail(file, text, f"$.calls.{call}", f"`{call}` is no call with a kind of its own", remedy)
    for table in ("calls", "events"):
        for name, kind in getattr(rules, table).items():
            if not _KIND.match(kind):
                remedy = "write the kind in lower case with underscores, such as demo_request"
                raise rulefile.fail(file, text, f"$.{table}['{name}']", f"`{kind}` is not the name of a kind", remedy)
    if "default" not in rules.assets:
        raise rulefile.fail(file, text, "$.assets", "there is no [assets.default]", "add it, for kinds not listed")
    _check_spellings(file, text, rules)
    _check_hands(file, text, rules)
    _check_providers(file, text, rules.identity.providers)
    return Vocabulary(rules)


def snake_case(name: str) -> str:
    """An event name as one spelling: "Demo Requested", "demoRequested" and "demo-requested" are `demo_requested`."""
    return _NOT_WORD.sub("_", _HUMP.sub("_", name)).strip("_").lower()


def path_of(value: str) -> str:
    """The path, if the value is a URL or a path: no query, no fragment, no slash at the end; else the value itself."""
    if "://" in value and (url := _URL.match(value)):
        value = url[1] or "/"
    elif value.startswith("/"):
        value = value.partition("?")[0].partition("#")[0]
    else:
        return value
    return value.rstrip("/") or "/"


def _first(names: tuple[str, ...], properties: Mapping[str, object]) -> str:
    for name in names:
        value = properties.get(name)
        if isinstance(value, str):
            if stripped := value.strip():
                return stripped
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
    return ""


def _check_spellings(file: str, text: str, rules: VocabularyFile) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for name, kind in rules.events.items():
        other, known = seen.setdefault(snake_case(name), (name, kind))
        if known != kind:
            message = f'"{name}" and "{other}" are one name in two spellings, with two kinds'
            raise rulefile.fail(file, text, f"$.events['{name}']", message, "keep one of them")


def _check_hands(file: str, text: str, rules: VocabularyFile) -> None:
    known = {*rules.calls.values(), *rules.events.values()}
    for place, kind in enumerate(rules.hands.kinds):
        if kind not in known:
            remedy = "correct the kind, or give it to an event in [events]"
            raise rulefile.fail(file, text, f"$.hands.kinds[{place}]", f"no event becomes {kind}", remedy)
    for topic in rules.hands.topics:
        if topic not in TOPICS:
            what, remedy = f"there is no topic `{topic}`", f"use one of {', '.join(TOPICS)}"
            raise rulefile.fail(file, text, f"$.hands.topics.{topic}", what, remedy)


def _check_providers(file: str, text: str, providers: Mapping[str, Provider]) -> None:
    seen: dict[str, str] = {}
    for domain, provider in providers.items():
        for each in (domain, *provider.also):
            if each in seen or each != each.lower():
                what = f"belongs to {seen[each]} already" if each in seen else "is not in lower case"
                remedy = "list each domain once, in lower case"
                raise rulefile.fail(file, text, f"$.identity.providers['{domain}']", f"`{each}` {what}", remedy)
            seen[each] = domain
