"""What trackers' calls mean: event names to kinds, properties to assets, values that never identify anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from streams import rulefile

CALLS = ("page", "screen", "track", "identify", "group", "alias")
"""The tracker's calls that are events, by Segment's names."""

MAX_ASSET_CHARACTERS = 400
"""Longer assets and titles are cut: they are names, and stand in states and alerts."""

_KIND = re.compile(r"[a-z][a-z0-9_]*\Z")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[\W_]+")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*([^?#]*)", re.IGNORECASE)


class Naming(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Properties that say what was touched, in order of preference."""

    asset: tuple[str, ...]
    title: tuple[str, ...]


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which values identify, and where they stand."""

    blocked: tuple[str, ...]
    blocked_emails: tuple[str, ...]
    email: tuple[str, ...]
    phone: tuple[str, ...]
    personal: tuple[str, ...]


class VocabularyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """rules/vocabulary.toml as written."""

    calls: dict[str, str]
    events: dict[str, str]
    assets: dict[str, Naming]
    identity: Identity


class Vocabulary:
    """The compiled vocabulary: answers for the gateway, one call each."""

    def __init__(self, rules: VocabularyFile) -> None:
        self._calls = dict(rules.calls)
        self._events = {snake_case(name): kind for name, kind in rules.events.items()}
        self._assets = {kind: naming for kind, naming in rules.assets.items() if kind != "default"}
        self._default = rules.assets["default"]
        self._blocked = frozenset(value.lower() for value in rules.identity.blocked)
        self._blocked_emails = frozenset(value.lower() for value in rules.identity.blocked_emails)
        self.email_names = rules.identity.email
        self.phone_names = rules.identity.phone
        self.personal = frozenset(rules.identity.personal)
        # Sites use few names; a stranger who makes up many costs a bounded cache and no more.
        self._track_kind = lru_cache(maxsize=4096)(self._find_track_kind)

    def kind(self, call: str, event: str) -> str:
        """The kind of a call; of a track call by its event name, `custom:<snake_case>` if the name is not known."""
        return self._track_kind(event) if call == "track" else self._calls[call]

    def asset(self, kind: str, properties: Mapping[str, object]) -> tuple[str, str]:
        """What was touched and its human name, from the event's properties; "" for what they do not tell."""
        naming = self._assets.get(kind, self._default)
        asset = _first(naming.asset, properties)
        return path_of(asset)[:MAX_ASSET_CHARACTERS], _first(naming.title, properties)[:MAX_ASSET_CHARACTERS]

    def identifies(self, value: str) -> bool:
        """Whether a user id or anonymous id, without spaces around it, can identify somebody."""
        return value.lower() not in self._blocked

    def email_identifies(self, email: str) -> bool:
        """Whether a normalised address can identify somebody; "null@…" and well-known dummies cannot."""
        return email not in self._blocked_emails and email.partition("@")[0] not in ("null", "undefined")

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
