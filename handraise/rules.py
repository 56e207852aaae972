"""A folder of rule files, read and checked as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import sources
from gateway.sources import Sources
from handraise import zones
from handraise.failure import Failure
from streams import rulefile, vocabulary
from streams import rules as model
from streams.desk import rules as desk_rules
from streams.desk.rules import DeskRules
from streams.rulefile import RuleError
from streams.rules import ALERTS_FILE, MODEL_FILE, AlertsFile, Rules
from streams.ruleset import version_of
from streams.vocabulary import Vocabulary

VOCABULARY_FILE = "vocabulary.toml"
SOURCES_FILE = "sources.toml"
FILES = (MODEL_FILE, ALERTS_FILE, VOCABULARY_FILE, SOURCES_FILE, *desk_rules.FILES)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of a folder, compiled, with the texts they come from."""

    folder: Path
    texts: dict[str, str]
    rules: Rules
    vocabulary: Vocabulary
    sources: Sources
    desk: DeskRules

    @property
    def version(self) -> str:
        """The version of the whole set."""
        return version_of(self.texts)


def read(folder: Path) -> dict[str, str]:
    """The texts of the folder's rule files, by name.  Raises Failure when one cannot be read."""
    if not folder.is_dir():
        raise Failure(
            "there is no such rules folder", str(folder), "name a folder with rule files, or unset HANDRAISE_RULES"
        )
    texts = {}
    for name in FILES:
        path = folder / name
        try:
            texts[name] = path.read_text()
        except FileNotFoundError:
            raise Failure("a rules file is missing", str(path), f"put {name} there, such as the shipped one") from None
        except OSError as error:
            raise Failure(f"a rules file cannot be read: {error.strerror}", str(path), "make it readable") from None
        except UnicodeDecodeError as error:
            raise Failure(f"a rules file is not UTF-8: {error}", str(path), "save it as UTF-8") from None
    return texts


def load(folder: Path) -> RuleSet:
    """The folder's rules.  Raises Failure for the first fault."""
    texts = read(folder)
    found, faults = check(folder, texts)
    if faults or found is None:
        raise faults[0]
    return found


def check(folder: Path, texts: dict[str, str]) -> tuple[RuleSet | None, list[Failure]]:
    """The rule set of these texts, or the first fault of each file."""
    faults: list[Failure] = []

    def attempt(loader: Callable[[], Any]) -> Any:
        try:
            return loader()
        except RuleError as error:
            faults.append(fault(folder, error))
            return None

    rules = attempt(lambda: model.load({name: texts[name] for name in (MODEL_FILE, ALERTS_FILE)}))
    if faults and faults[0].where.startswith(str(folder / MODEL_FILE)):  # then the alerts were not looked at
        attempt(lambda: rulefile.parse(ALERTS_FILE, texts[ALERTS_FILE], AlertsFile))
    words = attempt(lambda: vocabulary.load(VOCABULARY_FILE, texts[VOCABULARY_FILE]))
    keys = attempt(lambda: sources.load(SOURCES_FILE, texts[SOURCES_FILE]))
    desk = attempt(lambda: desk_rules.load({name: texts[name] for name in desk_rules.FILES}, zones.zone))
    return (None, faults) if faults else (RuleSet(folder, texts, rules, words, keys, desk), [])


def fault(folder: Path, error: RuleError) -> Failure:
    """The error of one rule file, with the file's path."""
    field = f", field {error.field}" if error.field else ""
    return Failure(error.message, f"{folder / error.file}, line {error.line}{field}", error.remedy)
