"""All rules of the desk: roster, calendars and routing as one checked set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from streams.desk import roster, routing
from streams.desk.roster import CALENDARS_FILE, ROSTER_FILE, Roster
from streams.desk.routing import Routing
from streams.desk.routing_file import ROUTING_FILE
from streams.desk.zones import Zones
from streams.rulefile import RuleError

FILES = (ROSTER_FILE, CALENDARS_FILE, ROUTING_FILE)


@dataclass(frozen=True)
class DeskRules:
    """A checked set of rules."""

    version: str
    """8 hex digits of the content's hash."""
    roster: Roster
    routing: Routing
    zones: Zones
    """Knows time zones, for other rules, too."""


def load(files: Mapping[str, str], zones: Zones) -> DeskRules:
    """Check and compile the texts of roster.toml, calendars.toml and routing.toml; `zones` knows time zones.

    Raises RuleError, which says file, line, field and remedy.
    """
    for name in FILES:
        if name not in files:
            raise RuleError(name, 1, "", "this rules file is missing", f"put {name} into the rules folder")
    people = roster.load(files, zones)
    content = "\x00".join(files[name] for name in FILES)
    version = hashlib.blake2b(content.encode(), digest_size=4).hexdigest()
    return DeskRules(version, people, routing.load(files, people), zones)
