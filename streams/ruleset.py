"""Rule sets: the texts of all rule files as one thing, whose version is the hash of what stands in them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from typing import cast

from schemas.codec import Undecodable, decode
from schemas.records import Promote, PublishedRules, RuleFile
from streams import rules
from streams.poison import NewerMail
from streams.rulefile import RuleError
from streams.rules import ALERTS_FILE, MODEL_FILE, Rules

RULES = b"\x00rules"
"""The key under which a partition remembers the set that was promoted last, as the record that said so."""
PROMOTED = "promoted"
"""The key on rules.published under which the set stands that is in force."""
MOST_BYTES = 256 * 1_024
"""A set stands whole in one record, and in the memory of each partition."""


def version_of(files: Mapping[str, str]) -> str:
    """The version of a set: 12 hex digits of the hash of its files, by name and text."""
    content = "\x00".join(part for name in sorted(files) for part in (name, files[name]))
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def record_files(files: Mapping[str, str]) -> tuple[RuleFile, ...]:
    """The files as records have them, sorted by name."""
    return tuple(RuleFile(name, files[name]) for name in sorted(files))


def files_of(record: Promote | PublishedRules) -> dict[str, str]:
    """The texts of a set by file name.  Raises Undecodable (`rules_refused`) if they are not those of its version."""
    files = {each.name: each.text for each in record.files}
    if len(files) < len(record.files) or version_of(files) != record.version:
        raise refused(record.version, "its files are not those that this version stands for")
    if size_of(files.values()) > MOST_BYTES:
        raise refused(record.version, f"it has {size_of(files.values())} bytes; {MOST_BYTES} are taken")
    return files


def size_of(texts: Iterable[str]) -> int:
    """Bytes of a set's texts."""
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def lead_rules(record: Promote, where: str) -> Rules:
    """The rules by which leads are judged; `where` the record stands.

    Raises Undecodable for what is no whole set, and NewerMail for one that is valid elsewhere and not in this release.
    """
    files = files_of(record)
    for name in (MODEL_FILE, ALERTS_FILE):
        if name not in files:
            raise refused(record.version, f"{name} is missing in it")
    try:
        return compiled(files[MODEL_FILE], files[ALERTS_FILE])
    except RuleError as error:
        raise NewerMail(unreadable(record.version, error, where)) from None


@functools.lru_cache(maxsize=4)
def compiled(model: str, alerts: str) -> Rules:
    """The rules of two files, compiled once for all partitions.  Raises RuleError."""
    return rules.load({MODEL_FILE: model, ALERTS_FILE: alerts})


def remembered(states: Mapping[bytes, bytes], given: Rules) -> tuple[Rules, str | None]:
    """The rules by which a partition judges leads: those that it was promoted to, or the given ones.

    And why it has to stand still: this release cannot read those that it was promoted to.
    """
    value = states.get(RULES)
    if value is None:
        return given, None
    try:
        return lead_rules(cast("Promote", decode(value)), "what the partition remembers"), None
    except (NewerMail, Undecodable) as error:
        return given, str(error)


def unreadable(version: str, error: RuleError, where: str) -> str:
    """Why a partition stands still whose rules are valid elsewhere, and not here."""
    return (
        f"the rules {version} are in force, and this release cannot read them: {where_in(error)}\n  where: {where}\n"
        "  remedy: run the release that they were promoted with here too; it goes on where this one stopped"
    )


def refused(version: str, why: str) -> Undecodable:
    """The verdict on a set that cannot be in force."""
    return Undecodable("rules_refused", f"the rules {version[:64]} are not in force: {why}")


def where_in(error: RuleError) -> str:
    """A fault of a rule file in one line."""
    field = f", field {error.field}" if error.field else ""
    return f"{error.message} ({error.file}, line {error.line}{field})"
