"""`handraise rules check`: a folder's rules, judged and summed up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handraise import output, rules
from handraise.failure import CHECK_FAILED, Failure
from handraise.rules import RuleSet
from handraise.words import count
from streams.rulefile import line_of, parse
from streams.rules import MODEL_FILE, ModelFile


def judge(folder: Path) -> tuple[RuleSet | None, list[Failure]]:
    """The rule set (None if it is refused) and what is wrong with it; raises Failure if there is nothing to judge."""
    texts = rules.read(folder)
    found, faults = rules.check(folder, texts)
    return found, faults if found is None else doubts(found)


def doubts(found: RuleSet) -> list[Failure]:
    """What is valid and yet cannot be meant: a rule for events that no call ever becomes."""
    text = found.texts[MODEL_FILE]
    known = found.vocabulary.kinds()
    return [
        Failure(
            f"rule {entry.id}: no event becomes {kind}",
            f"{found.folder / MODEL_FILE}, line {line_of(text, f'$.rule[{place}].kinds')}, field rule[{place}].kinds",
            "correct the kind, or give it to an event in vocabulary.toml",
            CHECK_FAILED,
        )
        for place, entry in enumerate(parse(MODEL_FILE, text, ModelFile).rule)
        for kind in entry.kinds
        if kind not in known and not kind.startswith("custom:")
    ]


def summary(found: RuleSet) -> dict[str, Any]:
    """What is in force with these rules."""
    loaded = found.rules
    return {
        "version": found.version,
        "model": loaded.version,
        "desk": found.desk.version,
        "rules": len(loaded.rules),
        "groups": len(loaded.caps),
        "hot_at": loaded.hot_at // 1_000,
        "cool_below": loaded.cool_below // 1_000,
        "mql_at": loaded.mql_at // 1_000,
        "kinds": len(found.vocabulary.kinds()),
        "sources": list(found.sources.names),
    }


def show(found: RuleSet) -> None:
    """The same in words."""
    facts = summary(found)
    groups = ", ".join(f"{name} {found.rules.caps[code] // 1_000}" for code, name in found.rules.group_names.items())
    rows = [
        ("version", f"{facts['version']}; of the model and alerts {facts['model']}, of the desk {facts['desk']}"),
        ("score", f"{count(facts['rules'], 'rule')}, 0 to {found.rules.cap // 1_000} points; at most: {groups}"),
        ("hot", f"from {facts['hot_at']}, cool below {facts['cool_below']}; mql from {facts['mql_at']}"),
        ("vocabulary", f"{count(facts['kinds'], 'kind')} of events"),
        ("sources", ", ".join(facts["sources"])),
    ]
    output.say(f"{found.folder}: the rules are valid", "good")
    output.show(output.table([("", "left"), ("", "left")], rows))
