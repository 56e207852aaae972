"""What differs between two rule sets is told as facts."""

import json
import shutil
from pathlib import Path

import pytest

from handraise.differing import Difference, differences
from handraise.settings import ROOT
from tests.handraise.conftest import Command

SHIPPED = {path.name: path.read_text() for path in (ROOT / "rules").glob("*.toml")}


def changed(name: str, *changes: tuple[str, str]) -> dict[str, str]:
    """The shipped rules with these texts of one file replaced."""
    text = SHIPPED[name]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return SHIPPED | {name: text}


def test_the_same_is_the_same() -> None:
    """Nothing differs from itself."""
    assert differences(SHIPPED, dict(SHIPPED)) == []


def test_a_field_is_told_by_the_tables_around_it() -> None:
    """A table of a list is told by its id; what was not there, or is not any more, is empty."""
    after = changed("alerts.toml", ("hot_at = 60", "hot_at = 55"))
    assert differences(SHIPPED, after) == [Difference("alerts.toml", "hot_lead hot_at", "60", "55")]
    after = changed("routing.toml", ('id = "nordics"', 'id = "north"'))
    told = [(each.what, bool(each.before), bool(each.after)) for each in differences(SHIPPED, after)]
    assert told == [("rule nordics", True, False), ("rule north", False, True)]


def test_the_order_of_rules_is_a_fact() -> None:
    """The first rule that fits takes a request, so an exchange of two is told."""
    text = SHIPPED["routing.toml"]
    one, other = text.index('[[rule]]\nid = "office"'), text.index('[[rule]]\nid = "nordics"')
    end = text.index("[[rule]]", other + 1)
    turned = SHIPPED | {"routing.toml": text[:one] + text[other:end] + text[one:other] + text[end:]}
    [told] = differences(SHIPPED, turned)
    assert told.what == "rule: their order"
    assert [json.loads(each)[:2] for each in (told.before, told.after)] == [
        ["office", "nordics"],
        ["nordics", "office"],
    ]


def test_words_that_mean_nothing_are_told_too() -> None:
    """A set with another comment has another version, though it says the same."""
    after = changed("model.toml", ("# ", "#  "))
    assert differences(SHIPPED, after) == [Difference("model.toml", "comments and order", "", "")]


@pytest.mark.parametrize("words", [("diff", "rules"), ("publish",)])
def test_a_folder_that_is_refused_is_told_by_its_fault(
    handraise: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """File, line and field, exit code 2; Kafka is not asked."""
    folder = shutil.copytree(ROOT / "rules", tmp_path / "rules")
    (folder / "alerts.toml").write_text(SHIPPED["alerts.toml"].replace("cool_below = 45", "cool_below = 99"))
    given = [str(ROOT / "rules") if word == "rules" else word for word in words]
    ran = handraise("rules", *given, str(folder))
    assert ran.code == 2
    assert "alerts.toml, line 5, field hot_lead.cool_below" in ran.err
