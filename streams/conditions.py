"""Conditions of rules on an event's properties."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.fields import engagement_fields
from streams.rules import Rule

MOST_DEPTH = 200
"""Properties that are nested deeper are not looked into: no decoder's own limit may decide."""
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def fitting(matched: tuple[Rule, ...], value: bytes) -> tuple[Rule, ...]:
    """The rules whose conditions hold for the event's properties."""
    (text,) = engagement_fields(value, "properties")
    return holding(matched, text)


def holding(matched: tuple[Rule, ...], text: str) -> tuple[Rule, ...]:
    """The rules whose conditions hold for these properties, a JSON text."""
    properties: Any = None
    if _depth(text) <= MOST_DEPTH:
        with contextlib.suppress(msgspec.DecodeError):
            properties = msgspec.json.decode(text)
    if not isinstance(properties, Mapping):
        properties = {}
    return tuple(rule for rule in matched if all(condition.holds(properties) for condition in rule.conditions))


def _depth(text: str) -> int:
    """How deep brackets are nested in a JSON text, texts in it left out; never less than it is."""
    brackets = text.count("[") + text.count("{")
    if brackets <= MOST_DEPTH:
        return brackets
    depth = deepest = 0
    for found in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        deepest = max(deepest, depth)
    return deepest
