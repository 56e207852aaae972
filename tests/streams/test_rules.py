"""A rules file is taken, or refused with file, line, field and a remedy."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.conditions import holding
from streams.rulefile import RuleError
from streams.rules import Rules, load

FILES = {name: Path("rules", name).read_text(encoding="utf-8") for name in ("model.toml", "alerts.toml")}


def refused(file: str, old: str, new: str) -> RuleError:
    """The error for the shipped rules with one text in a file replaced."""
    assert old in FILES[file]
    with pytest.raises(RuleError) as caught:
        load({**FILES, file: FILES[file].replace(old, new, 1)})
    return caught.value


def with_rule(line: str) -> Rules:
    """The shipped rules with one more, about things, that has this line."""
    rule = f'[[rule]]\nid = "thing"\ncode = 9999\nkinds = ["thing"]\npoints = 1\ngroup = "web"\nreason = "r"\n{line}\n'
    return load({**FILES, "model.toml": f"{FILES['model.toml']}\n{rule}"})


def line_with(file: str, text: str) -> int:
    """The first line, from 1, of a shipped file that has this text."""
    return 1 + next(n for n, line in enumerate(FILES[file].split("\n")) if text in line)


def test_the_shipped_rules_are_taken() -> None:
    """The shipped rules load, and their version is a function of their text."""
    rules = load(FILES)
    assert isinstance(rules, Rules)
    assert load(dict(FILES)).version == rules.version
    assert load({**FILES, "alerts.toml": FILES["alerts.toml"] + "# other\n"}).version != rules.version


@pytest.mark.parametrize(
    ("file", "old", "new", "field", "says", "remedy"),
    [
        ("model.toml", "points = 20", 'points = "20"', "rule[3].points", "Expected `int`", "of that type"),
        ("model.toml", "mql_at = 50", "mql_at = 500", "stages.mql_at", "<= 100", "range"),
        ("model.toml", 'per = "week"', 'per = "weak"', "rule[2].limits[0].per", "weak", "asset, day, ever, week"),
        ("model.toml", 'group = "intent"', 'group = "intend"', "rule[3].group", "intend", "intent"),
        ("model.toml", "code = 9\n", "code = 8\n", "rule[8].code", "download", "next free"),
        ("model.toml", 'id = "cart"', 'id = "social"', "rule[18].id", "taken", "its own"),
        ("model.toml", "{times}\"", "{time}\"", "rule[0].reason", "{time}", "{times}"),
        ("model.toml", "levels = [60, 45, 20]", "levels = [20, 45, 60]", "levels", "fall", "60, 45, 20"),
        ("model.toml", "session_page = 8\n", "", "rule[1].kinds", "what it matches", "exactly one"),
        ("model.toml", 'kinds = ["dwell"]\n', "session_page = 3\n", "rule[5].asset", "go with kinds", "kinds"),
        ("model.toml", "at_least = 90", "at_most = 90", "rule[5].where[0].at_most", "unknown field", "at_most"),
        ("model.toml", ", at_least = 90", "", "rule[5].where", "either", "one of the two"),
        ("model.toml", 'count = 1, per = "asset"', 'count = 2, per = "asset"', "rule[7].limits", "one match", "ever"),
        ("model.toml", "clears = true", "clears = true\npoints = 3", "rule[26].clears", "no points", "remove"),
        ("model.toml", "half_life_days = 60", "half_life_days = 2", "rule[23].half_life_days", ">= 3", "range"),
        ("model.toml", "social = { code = 4", "social = { code = 3", "groups.social", "email", "its own"),
        ("alerts.toml", '"after_session"', '"later"', "hot_lead.follow_up", "later", "call_now"),
        ("alerts.toml", "cool_below = 45", "cool_below = 60", "hot_lead.cool_below", "not below", "below 60"),
        ("alerts.toml", "cooldown_days = 7 ", "cooldown_days = 7.5 ", "hot_lead.cooldown_days", "int", "type"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place(file: str, old: str, new: str, field: str, says: str, remedy: str) -> None:
    """What is wrong, in which file, line and field, and how to mend it."""
    error = refused(file, old, new)
    assert (error.file, error.field) == (file, field)
    assert says in error.message
    assert remedy in error.remedy
    assert len(str(error).split("\n")) == 3


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("model.toml", "points = 20", 'points = "20"'),
        ("model.toml", "mql_at = 50", "mql_at = 500"),
        ("model.toml", "half_life_days = 60", "half_life_days = 2"),
        ("model.toml", 'group = "intent"', 'group = "intend"'),
        ("alerts.toml", "cool_below = 45", "cool_below = 60"),
    ],
)
def test_the_line_is_that_of_the_fault(file: str, old: str, new: str) -> None:
    """The line that is told is the one with the fault."""
    assert refused(file, old, new).line == line_with(file, old)


def test_no_toml_is_told_with_its_line() -> None:
    """A syntax error is told with the line where TOML stopped."""
    assert refused("model.toml", "mql_at = 50", "mql_at = = 50").line == line_with("model.toml", "mql_at = 50")


@pytest.mark.parametrize("name", list(FILES))
def test_a_missing_file_is_named(name: str) -> None:
    """Without one of the files there are no rules."""
    with pytest.raises(RuleError) as caught:
        load({other: text for other, text in FILES.items() if other != name})
    assert caught.value.file == name


@given(junk=st.text(max_size=200), cut=st.integers(0, 6000))
def test_any_text_is_taken_or_refused(junk: str, cut: int) -> None:
    """Whatever stands in a rules file, it is taken or refused with its place, and nothing else is raised."""
    for text in (junk, FILES["model.toml"][:cut] + junk):
        try:
            load({**FILES, "model.toml": text})
        except RuleError as error:
            assert error.file == "model.toml"
            assert error.line >= 1


@given(st.lists(st.text("ab*.", max_size=8), min_size=1, max_size=3), st.text("abAB.", max_size=10))
def test_a_star_stands_for_anything(globs: list[str], asset: str) -> None:
    """A pattern fits what a walk through pattern and text, letter by letter, finds to fit; case does not matter."""

    def fits(glob: str, text: str) -> bool:
        if not glob:
            return not text
        if glob[0] == "*":
            return fits(glob[1:], text) or (text != "" and fits(glob, text[1:]))
        return text[:1].lower() == glob[0] and fits(glob[1:], text[1:])

    found = with_rule(f"asset = {json.dumps(globs)}").matching("thing", asset)
    assert bool(found) == any(fits(glob, asset) for glob in globs)


def test_no_pattern_takes_longer_than_its_text_is() -> None:
    """A pattern of many stars is looked up in a long text that it almost fits: forty stars would take for ever."""
    assert with_rule(f'asset = ["{"*a" * 40}*b"]').matching("thing", "a" * 100_000) == ()


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=3))
@example(10**400)
@example("1e400")
@example("-nan")
@example("９")
def test_a_condition_holds_or_not_whatever_the_property_is(given_value: object) -> None:
    """No type and no number makes a condition raise; what is no number, or none that is greater, does not fit."""
    text = json.dumps({"seconds": given_value})
    rules = with_rule('where = [{ property = "seconds", at_least = 90 }]')
    found = holding(rules.matching("thing", "x"), text)
    is_number = isinstance(given_value, int | float) and not isinstance(given_value, bool)
    if is_number and abs(given_value) < 1e300:
        assert bool(found) == (given_value >= 90)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = " + "[" * 50_000, "nested over 50 deep"),
        ("x = " + "{a = " * 51 + "1" + "}" * 51, "nested over 50 deep"),
        ("cap = " + "9" * 5_000, "not valid TOML"),
        ("cap = 1e400", "Expected `int`"),
        ("cap = nan", "Expected `int`"),
        ("\0", "not valid TOML"),
    ],
)
def test_a_hostile_file_is_refused_like_any_other(text: str, says: str) -> None:
    """What exhausts a parser, and numbers that are none: refused with file and line, never raised."""
    with pytest.raises(RuleError, match=says) as refusal:
        load({**FILES, "model.toml": f"# a line\n{text}\n"})
    assert (refusal.value.file, refusal.value.line >= 2) == ("model.toml", True)
