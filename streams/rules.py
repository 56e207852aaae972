"""The rules by which leads are judged: read from TOML, checked, compiled for speed.  Frozen; states hold no rules."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from streams.rulefile import RuleError, fail, parse

DAY_S = 86_400
_MOST_ASSETS = 8_192
MODEL_FILE = "model.toml"
ALERTS_FILE = "alerts.toml"

Points = Annotated[int, msgspec.Meta(ge=-100, le=100)]
Code = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
# Below 3 days a sum in forward form would no longer fit the 64 bits in which states keep it.
HalfLifeDays = Annotated[int, msgspec.Meta(ge=3, le=365)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Score = Annotated[int, msgspec.Meta(ge=0, le=100)]
Word = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `count` matches count per period, the earliest ones."""

    count: Count
    per: Literal["day", "week", "ever", "asset"]


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition on one property of the event."""

    property: str
    at_least: int | None = None
    equals: str | None = None

    def holds(self, properties: Mapping[str, object]) -> bool:
        """True if the property is there and fits; text that reads as a number is one."""
        given = properties.get(self.property)
        if self.equals is not None:
            return isinstance(given, str) and given.strip().lower() == self.equals.lower()
        if isinstance(given, str):
            try:
                given = float(given)
            except ValueError:
                return False
        return isinstance(given, int | float) and not isinstance(given, bool) and given >= (self.at_least or 0)


class RuleEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule as model.toml has it; docs/scoring.md says what it means."""

    id: Word
    code: Code
    group: str
    reason: str
    reason_often: str = ""
    half_life_days: HalfLifeDays = 7
    points: Points = 0
    kinds: list[str] = []
    asset: list[str] = []
    asset_not: list[str] = []
    where: list[Condition] = []
    limits: list[Limit] = []
    session_page: Count | None = None
    return_within_days: Count | None = None
    clears: bool = False


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group of rules with a cap in points."""

    code: Annotated[int, msgspec.Meta(ge=1, le=500)]
    cap: Annotated[int, msgspec.Meta(ge=0, le=1_000)]


class Stages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What moves a lead from one stage to the next."""

    mql_at: Score
    inquiry_kinds: list[str]


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """rules/model.toml."""

    cap: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    levels: tuple[Score, Score, Score]
    session_gap_minutes: Annotated[int, msgspec.Meta(ge=1, le=1_440)]
    anonymous_idle_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)]
    stages: Stages
    groups: dict[str, Group]
    rule: list[RuleEntry]


class HotLead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a lead is hot, and how often somebody is told."""

    hot_at: Score
    cool_below: Score
    cooldown_days: Annotated[int, msgspec.Meta(ge=0, le=365)]
    follow_up: Literal["call_now", "after_session", "next_working_hours"]


class AlertsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """rules/alerts.toml."""

    hot_lead: HotLead


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule."""

    code: int
    id: str
    millipoints: int
    half_life_s: int
    group: int
    channel: int
    """Group and half-life as one number: the key of a sum in a lead's state."""
    counted: str
    """The mark of a match that counts, in a lead's state."""
    cut: str
    """The mark of a match that a limit cut."""
    on_visits: bool
    """True if it looks at visits, so that its matches are derived from page views."""
    period_limits: tuple[tuple[int, int], ...]
    """(count, period in days: 1 or 7)."""
    once: Literal["", "ever", "asset"]
    least_limit: int
    """With fewer matches on record that count, no limit can cut the next one."""
    clears: bool
    reason: str
    reason_often: str
    keeps_title: bool
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Rules:
    """A checked and compiled set of rules."""

    version: str
    """8 hex digits of the content's hash."""
    number: int
    """The hash of all but words and comments: the same points under the same marks have the same number."""
    rules: tuple[Rule, ...]
    by_code: dict[int, Rule]
    page_rules: dict[int, tuple[Rule, ...]]
    """page views in a visit → the rules that the last of them matches."""
    return_rules: tuple[tuple[int, Rule], ...]
    group_names: dict[int, str]
    caps: dict[int, int]
    """group → cap in milli-points."""
    cap: int
    levels: tuple[int, int, int]
    session_gap_s: int
    anonymous_idle_s: int
    mql_at: int
    inquiry_kinds: frozenset[str]
    hot_at: int
    cool_below: int
    cooldown_s: int
    follow_up: str
    lowest_mark: int
    """No score below this, in milli-points, moves a lead."""
    _matchers: tuple[tuple[Rule, frozenset[str], re.Pattern[str] | None, re.Pattern[str] | None], ...]
    _memo: dict[str, dict[str, tuple[Rule, ...]]]
    """kind → asset → what matches, for each kind that some rule names."""

    def matching(self, kind: str, asset: str) -> tuple[Rule, ...]:
        """The rules that an event of this kind about this asset matches, their conditions on properties aside."""
        memo = self._memo.get(kind)
        if memo is None:
            return ()
        try:
            return memo[asset]
        except KeyError:
            if len(memo) >= _MOST_ASSETS:
                memo.clear()
            memo[asset] = found = tuple(
                rule
                for rule, kinds, wanted, unwanted in self._matchers
                if kind in kinds
                and (wanted is None or wanted.fullmatch(asset))
                and not (unwanted is not None and unwanted.fullmatch(asset))
            )
            return found

    def level(self, millipoints: int) -> int:
        """1 to 4, for a behaviour score."""
        for level, least in enumerate(self.levels, 1):
            if millipoints >= least:
                return level
        return 4


def channel_of(group: int, half_life_days: int) -> int:
    """The key of the sum of a group's points with one half-life."""
    return group << 9 | half_life_days


def group_of(channel: int) -> int:
    """The group's code."""
    return channel >> 9


def half_life_of(channel: int) -> int:
    """The half-life in seconds."""
    return (channel & 511) * DAY_S


def has_key(mark: str) -> bool:
    """True if a once-only key goes with this mark (so that states can be read under any rules)."""
    return bool(ord(mark) & 2)


def load(files: Mapping[str, str]) -> Rules:
    """Check and compile rules from the texts of model.toml and alerts.toml, by file name.

    Raises RuleError, which says file, line, field and remedy.
    """
    for name in (MODEL_FILE, ALERTS_FILE):
        if name not in files:
            raise RuleError(name, 1, "", "this rules file is missing", f"put {name} into the rules folder")
    model_text, alerts_text = files[MODEL_FILE], files[ALERTS_FILE]
    model = parse(MODEL_FILE, model_text, ModelFile)
    alerts = parse(ALERTS_FILE, alerts_text, AlertsFile)
    _check_model(model, model_text)
    hot = alerts.hot_lead
    if hot.cool_below >= hot.hot_at:
        raise fail(
            ALERTS_FILE, alerts_text, "$.hot_lead.cool_below", "cool_below is not below hot_at",
            f"choose a value below {hot.hot_at}, so that a lead does not flicker between hot and cold",
        )  # fmt: skip
    digest = hashlib.blake2b(f"{model_text}\x00{alerts_text}".encode(), digest_size=4).hexdigest()
    compiled = [(entry, _compile(entry, model.groups[entry.group].code)) for entry in model.rule]
    rules = tuple(rule for _, rule in compiled)
    caps = {group.code: group.cap * 1_000 for group in model.groups.values()}
    return Rules(
        version=digest,
        number=_number(model, alerts),
        rules=rules,
        by_code={rule.code: rule for rule in rules},
        page_rules={
            page: tuple(rule for entry, rule in compiled if entry.session_page == page)
            for page in {entry.session_page for entry in model.rule if entry.session_page}
        },
        return_rules=tuple(
            (entry.return_within_days * DAY_S, rule) for entry, rule in compiled if entry.return_within_days
        ),
        group_names={group.code: name for name, group in model.groups.items()},
        caps=caps,
        cap=model.cap * 1_000,
        levels=(model.levels[0] * 1_000, model.levels[1] * 1_000, model.levels[2] * 1_000),
        session_gap_s=model.session_gap_minutes * 60,
        anonymous_idle_s=model.anonymous_idle_days * DAY_S,
        mql_at=model.stages.mql_at * 1_000,
        inquiry_kinds=frozenset(model.stages.inquiry_kinds),
        hot_at=hot.hot_at * 1_000,
        cool_below=hot.cool_below * 1_000,
        cooldown_s=hot.cooldown_days * DAY_S,
        follow_up=hot.follow_up,
        lowest_mark=min(hot.hot_at, model.stages.mql_at) * 1_000,
        _matchers=tuple(
            (rule, frozenset(entry.kinds), _patterns(entry.asset), _patterns(entry.asset_not))
            for entry, rule in compiled
            if entry.kinds
        ),
        _memo={kind: {} for entry in model.rule for kind in entry.kinds},
    )


def _number(model: ModelFile, alerts: AlertsFile) -> int:
    replace = msgspec.structs.replace
    silent = replace(model, rule=[replace(entry, reason="", reason_often="") for entry in model.rule])
    return int(hashlib.blake2b(msgspec.json.encode((silent, alerts)), digest_size=4).hexdigest(), 16)


def _compile(entry: RuleEntry, group: int) -> Rule:
    days = {"day": 1, "week": 7}
    once = next((limit.per for limit in entry.limits if limit.per in ("ever", "asset")), "")
    return Rule(
        code=entry.code,
        id=entry.id,
        millipoints=entry.points * 1_000,
        half_life_s=entry.half_life_days * DAY_S,
        group=group,
        channel=channel_of(group, entry.half_life_days),
        counted=chr(4 * entry.code + 2 * bool(once)),
        cut=chr(4 * entry.code + 2 * bool(once) + 1),
        on_visits=not entry.kinds,
        period_limits=tuple((limit.count, days[limit.per]) for limit in entry.limits if limit.per in days),
        least_limit=0 if once else min((limit.count for limit in entry.limits), default=1 << 30),
        once=once,  # type: ignore[arg-type]
        clears=entry.clears,
        reason=entry.reason,
        reason_often=entry.reason_often or entry.reason,
        keeps_title="{title}" in entry.reason + entry.reason_often,
        conditions=tuple(entry.where),
    )


def _patterns(globs: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{_pattern(glob)})" for glob in globs), re.IGNORECASE | re.DOTALL) if globs else None


def _pattern(glob: str) -> str:
    """An expression for a pattern of text and stars, which takes as long as the text and the pattern are, not more.

    What stands between two stars is looked for once, as early as it can be, and never again (an atomic group).
    """
    first, *rest = map(re.escape, glob.split("*"))
    return first + "".join(f"(?>.*?{part})" for part in rest[:-1]) + "".join(f".*{part}" for part in rest[-1:])


def _check_model(model: ModelFile, text: str) -> None:
    if list(model.levels) != sorted(set(model.levels), reverse=True):
        raise fail(MODEL_FILE, text, "$.levels", "levels do not fall", "give three falling scores, as in [60, 45, 20]")
    codes: dict[int, str] = {}
    for name, group in model.groups.items():
        if group.code in codes:
            raise fail(
                MODEL_FILE, text, f"$.groups.{name}", f"group code {group.code} is also that of {codes[group.code]}",
                "give each group a code of its own",
            )  # fmt: skip
        codes[group.code] = name
    ids: set[str] = set()
    rule_codes: dict[int, str] = {}
    for index, entry in enumerate(model.rule):
        path = f"$.rule[{index}]"
        for wrong, name, message, remedy in _faults(entry, model, ids, rule_codes):
            if wrong:
                raise fail(MODEL_FILE, text, f"{path}.{name}", f"rule {entry.id}: {message}", remedy)
        ids.add(entry.id)
        rule_codes[entry.code] = entry.id


def _faults(
    entry: RuleEntry, model: ModelFile, ids: set[str], codes: dict[int, str]
) -> list[tuple[bool, str, str, str]]:
    """(wrong?, field, message, remedy) of all that can be wrong with one rule and its types do not say."""
    triggers = sum((bool(entry.kinds), entry.session_page is not None, entry.return_within_days is not None))
    onces = [limit for limit in entry.limits if limit.per in ("ever", "asset")]
    placeholders = set(re.findall(r"\{([^}]*)\}", entry.reason + entry.reason_often)) - {"times", "title"}
    known = ", ".join(model.groups)
    return [
        (entry.id in ids, "id", "the id is taken", "give each rule an id of its own"),
        (entry.code in codes, "code", f"code {entry.code} is that of {codes.get(entry.code)}",
         "give it the next free number; a code never changes its meaning"),
        (entry.group not in model.groups, "group", f"there is no group {entry.group!r}", f"use one of: {known}"),
        (triggers != 1, "kinds", "it does not say what it matches",
         "give exactly one of kinds, session_page, return_within_days"),
        (bool(entry.asset or entry.asset_not or entry.where) and not entry.kinds, "asset",
         "asset, asset_not and where go with kinds", "remove them, or give kinds"),
        (any((c.at_least is None) == (c.equals is None) for c in entry.where), "where",
         "a condition needs either at_least or equals", "give one of the two"),
        (any(limit.count != 1 for limit in onces) or len(onces) > 1, "limits",
         "a limit per ever or asset is for one match", "write { count = 1, per = \"ever\" }, and only one such limit"),
        (bool(placeholders), "reason", f"{{{', '.join(sorted(placeholders))}}} stands for nothing",
         "use {times} and {title} only"),
        (entry.clears and (entry.points != 0 or bool(entry.limits)), "clears", "a rule that clears gives no points",
         "remove points and limits, or clears"),
    ]  # fmt: skip
