"""Promotions at the desk: which rule set is put in force, and which is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from schemas.codec import Undecodable, decode
from schemas.records import Promote, PublishedRules
from streams import ruleset
from streams.desk import rules as desk_rules
from streams.desk.rules import DeskRules
from streams.desk.zones import Zones
from streams.rulefile import RuleError
from streams.rules import ALERTS_FILE, MODEL_FILE


def remembered(states: Mapping[bytes, bytes], given: DeskRules) -> tuple[DeskRules, str | None]:
    """The rules that were promoted last, or the given ones.

    And why the desk has to stand still: this release cannot read what was promoted.
    """
    value = states.get(ruleset.RULES)
    if value is None:
        return given, None
    in_force = cast("PublishedRules", decode(value))
    try:
        return desk_rules.load(ruleset.files_of(in_force), given.zones), None
    except RuleError as error:
        return given, ruleset.unreadable(in_force.version, error, "what the desk remembers")
    except Undecodable as error:
        return given, str(error)


def of(wish: Promote, former: bytes | None) -> PublishedRules | None:
    """What is remembered and published of a promotion; None if that set is in force already.

    `former`: what is remembered of the one before.  Raises Undecodable if the set is not whole.
    """
    ruleset.files_of(wish)
    before = None if former is None else cast("PublishedRules", decode(former)).version
    if before == wish.version:
        return None
    return PublishedRules(wish.version, wish.files, wish.at, wish.by, before)


def checked(wish: Promote, zones: Zones) -> DeskRules:
    """The desk's rules of a set.  Raises Undecodable if any fold of this release would refuse its part."""
    files = ruleset.files_of(wish)
    try:
        found = desk_rules.load(files, zones)
        ruleset.compiled(files.get(MODEL_FILE, ""), files.get(ALERTS_FILE, ""))
    except RuleError as error:
        raise ruleset.refused(wish.version, ruleset.where_in(error)) from None
    return found
