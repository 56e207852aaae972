"""Write keys and what holds for each: allowed origins, consent, proxies.  From rules/sources.toml."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import msgspec

from streams import rulefile

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")
_ORIGIN = re.compile(r"https?://(\*\.)?[a-z0-9.-]+(:\d{1,5})?\Z")

OptOut = Literal["drop", "anonymous", "ignore"]
"""What becomes of events of a visitor who opted out."""


class SourceRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One [[source]] as written."""

    name: str
    key: str
    origins: tuple[str, ...]
    opt_out: OptOut
    consent_categories: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    truncate_ip: bool = False


class _SourcesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: tuple[SourceRules, ...]


class Source:
    """A write key's source, compiled."""

    def __init__(self, rules: SourceRules) -> None:
        self.name, self.key = rules.name, rules.key
        self.opt_out: OptOut = rules.opt_out
        self.consent_categories = rules.consent_categories
        self.truncate_ip = rules.truncate_ip
        self.record_key = rules.name.encode()
        self._proxies = tuple(ipaddress.ip_network(each) for each in rules.trusted_proxies)
        self._any_origin = "*" in rules.origins
        self._origins = frozenset(each for each in rules.origins if "*" not in each)
        self._wildcards = tuple(each.partition("*") for each in rules.origins if "://*." in each)
        self.trusts = lru_cache(maxsize=1024)(self._trusts)

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may send."""
        return (
            self._any_origin
            or origin in self._origins
            or any(origin.startswith(scheme) and origin.endswith(rest) for scheme, _, rest in self._wildcards)
        )

    def client_address(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """The visitor's address: the connection's, or what trusted proxies say of it.

        `forwarded_for` has the values of the X-Forwarded-For headers, in order.  Read from the right, each address
        is as true as the machine to its right is trusted.
        """
        address = peer
        if not self._proxies or not self.trusts(peer):
            return address
        for entry in reversed(",".join(forwarded_for).split(",")):
            if not (claimed := _without_port(entry.strip())):
                break
            address = claimed
            if not self.trusts(claimed):
                break
        return address

    def _trusts(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._proxies)


class Sources:
    """All sources, by write key."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._by_key = {source.key: source for source in sources}
        self.names = tuple(source.name for source in sources)

    def get(self, key: str) -> Source | None:
        """The source of a write key, None if nobody has it."""
        return self._by_key.get(key)

    def only(self) -> Source | None:
        """The source if there is but one."""
        return next(iter(self._by_key.values())) if len(self._by_key) == 1 else None

    def allow(self, origin: str) -> bool:
        """Whether any source allows the origin: all that can be said of a preflight, which carries no write key."""
        return any(source.allows(origin) for source in self._by_key.values())

    def trust(self, peer: str) -> bool:
        """Whether any source trusts a proxy of this address."""
        return any(source.trusts(peer) for source in self._by_key.values())


def load(file: str, text: str) -> Sources:
    """The sources in the TOML `text` of `file`.  Raises RuleError with line, field and remedy."""
    rules = rulefile.parse(file, text, _SourcesFile)
    if not rules.source:
        raise rulefile.fail(file, text, "$.source", "there is no source", "add a [[source]] with name and key")
    names: dict[str, str] = {}
    keys: dict[str, str] = {}
    for number, source in enumerate(rules.source):
        at = f"$.source[{number}]"
        if not _NAME.match(source.name):
            remedy = 'use lower case letters, digits, "-" and "_", such as "web-shop"'
            raise rulefile.fail(file, text, f"{at}.name", f'"{source.name}" is not the name of a source', remedy)
        if not _KEY.match(source.key):
            remedy = 'use 1 to 128 letters, digits, ".", "-" and "_"'
            raise rulefile.fail(file, text, f"{at}.key", "this cannot be a write key", remedy)
        for field, value, taken in (("name", source.name, names), ("key", source.key, keys)):
            if value in taken:
                message = f'the {field} "{value}" is taken by the source "{taken[value]}"'
                raise rulefile.fail(file, text, f"{at}.{field}", message, f"give each source its own {field}")
            taken[value] = source.name
        _check_places(file, text, at, source)
    return Sources([Source(each) for each in rules.source])


def _check_places(file: str, text: str, at: str, source: SourceRules) -> None:
    for origin in source.origins:
        if origin != "*" and not _ORIGIN.match(origin):
            remedy = 'write scheme and host, such as "https://www.example.com", "https://*.example.com", or "*" for any'
            raise rulefile.fail(file, text, f"{at}.origins", f'"{origin}" is not an origin', remedy)
    for network in source.trusted_proxies:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            remedy = 'write it as address/bits, such as "10.0.0.0/8"'
            raise rulefile.fail(file, text, f"{at}.trusted_proxies", f"not a network: {error}", remedy) from None


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
