"""`handraise rules diff`: what differs between two rule sets, as facts and not as lines."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from handraise import output, promotion, rules
from handraise.failure import Failure
from handraise.options import run_to_end
from handraise.settings import Settings
from schemas.topics import physical
from streams.ruleset import PROMOTED, files_of

_NAMES = ("id", "name", "key")
"""What an entry of a list is told by."""


class Difference(NamedTuple):
    """One fact that is not the same."""

    file: str
    what: str
    """The field, with the names of the tables around it."""
    before: str
    """As JSON; empty where it was not there."""
    after: str


def texts(settings: Settings, name: str) -> dict[str, str]:
    """The files of a folder, a published version, or what is in force (`promoted`).  Raises Failure."""
    if Path(name).is_dir():
        return rules.load(Path(name)).texts
    there = run_to_end(promotion.known(settings))
    found = there.in_force if name == PROMOTED else there.sets.get(name)
    if found is None:
        raise Failure(
            "no rules were ever promoted" if name == PROMOTED else f"{name!r} is no folder and no published version",
            f"topic {physical(promotion.TOPIC, settings.prefix)} on {settings.kafka}",
            f"name a folder, {promotion.named_ones(there)}",
        )
    return files_of(found)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    """All that differs, by file and in the order of the fields."""
    found: list[Difference] = []
    for name in sorted({*before, *after}):
        one, other = (tomllib.loads(files.get(name, "")) for files in (before, after))
        facts = [Difference(name, *each) for each in _walk("", one, other)]
        if not facts and before.get(name) != after.get(name):
            facts = [Difference(name, "comments and order", "", "")]
        found += facts
    return found


def _walk(where: str, one: Any, other: Any) -> Iterator[tuple[str, str, str]]:
    """(what, before, after) of all that differs below a place."""
    if one == other:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys((*one, *other)):
            yield from _walk(f"{where} {name}".strip(), one.get(name), other.get(name))
    elif (ours := _named(one)) is not None and (theirs := _named(other)) is not None:
        for name in dict.fromkeys((*ours, *theirs)):
            yield from _walk(f"{where} {name}", ours.get(name), theirs.get(name))
        if (before := [*ours]) != (after := [*theirs]) and sorted(before) == sorted(after):
            yield f"{where}: their order", _json(before), _json(after)
    else:
        yield where, _json(one), _json(other)


def _named(value: Any) -> dict[str, Any] | None:
    """A list of tables by their names, if all have one of their own."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return None
    names = [next((each[name] for name in _NAMES if isinstance(each.get(name), str)), None) for each in value]
    if None in names or len(set(names)) < len(names):
        return None
    return dict(zip(names, value, strict=True))  # type: ignore[arg-type]


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def show(found: list[Difference]) -> None:
    """In words, a difference a row."""
    if not found:
        output.say("both are the same", "good")
        return
    columns = [("file", "left"), ("what", "left"), ("before", "left"), ("after", "left")]
    rows = [(each.file, each.what, each.before or "–", each.after or "–") for each in found]
    output.show(output.table(columns, rows))
