"""Rules of the desk that are refused: each error says file, line, field and remedy."""

from __future__ import annotations

import pytest

from handraise.zones import zone
from streams.desk import rules
from streams.desk.routing import Asked
from streams.rulefile import RuleError
from tests.streams.desk.harness import SHIPPED, loaded

ROSTER, CALENDARS, ROUTING = rules.FILES


def refused(file: str, before: str, after: str) -> RuleError:
    """The error of the shipped rules with one text changed in one file."""
    assert SHIPPED[file].count(before) >= 1, before
    with pytest.raises(RuleError) as raised:
        rules.load({**SHIPPED, file: SHIPPED[file].replace(before, after, 1)}, zone)
    return raised.value


@pytest.mark.parametrize(
    ("file", "before", "after", "message", "remedy"),
    [
        (ROSTER, '"Europe/Lisbon"', '"Europe/Lisboa"', "ana: there is no time zone 'Europe/Lisboa'", "IANA"),
        (ROSTER, 'manager = "mert"', 'manager = "max"', "its manager 'max' is no person", "ana, ben, ceyda, mert"),
        (ROSTER, 'team = "sales"', 'team = "sails"', "ana: there is no team 'sails'", "sales"),
        (ROSTER, '"portugal"', '"portugl"', "ana: there is no calendar 'portugl'", "portugal, denmark, turkey"),
        (ROSTER, "mon-fri = [", "weekdays = [", "ana: 'weekdays' names no days", "mon-fri"),
        (ROSTER, '"09:00-13:00"', '"9-13"', "ana: '9-13' is no span of hours", "09:00-17:00"),
        (ROSTER, '{ mon-fri = ["09:00-13:00", "14:00-18:00"] }', "{}", "ana never works", "give hours"),
        (ROSTER, 'id = "ben"', 'id = "ana"', "person ana is there twice", "id of their own"),
        (ROSTER, "2026-01-01 }", "2026-01-01, last_day = 2025-01-01 }", "ceyda: leave 1 ends before", "last_day"),
        (ROSTER, '["console", "email"]', "[]", "ana cannot be told anything", "console"),
        (ROSTER, '["southern-europe"]', '["south"]', "ana in roster.toml has a territory 'south'", "nordics"),
        (CALENDARS, '"04-25"', '"25 April"', "'25 April' is no day of the year", "12-25"),
        (ROUTING, '"IS"]', '"IS", "PT"]', "territories nordics and southern-europe overlap: PT", "take PT out"),
        (ROUTING, 'responsible = "mert"', 'responsible = "nobody"', "queue desk: 'nobody' is no person", "ana, ben"),
        (ROUTING, "[queues.check]", "[queues.chek]", "there is no queue 'check'", "may be spam"),
        (ROUTING, 'people = ["mert"]', 'people = ["mart"]', "pool office: 'mart' is no person", "mert"),
        (ROUTING, 'topic = "sales"', 'topic = "press"', "nobody has press and nordics", "roster"),
        (ROUTING, 'then = "sales"', 'then = "sale"', "pool nordics: there is no pool 'sale'", "sales"),
        (ROUTING, 'then = "sales"', 'then = "nordics"', "pool nordics follows itself", "come to an end"),
        (ROUTING, 'queue = "desk"', 'queue = "dusk"', "pool nordics: there is no queue 'dusk'", "desk, manager"),
        (ROUTING, 'pool = "south"', 'pool = "north"', "rule southern-europe: there is no pool 'north'", "nordics"),
        (ROUTING, 'pool = "south"', 'pool = "south"\nqueue = "desk"', "does not say who gets it", "exactly one"),
        (ROUTING, 'territories = ["nordics"]\n', 'territories = ["nrdcs"]\n', "no territory 'nrdcs'", "nordics"),
        (ROUTING, 'id = "nordics"\n', 'id = "office"\n', "rule office is there twice", "id of its own"),
        (ROUTING, 'id = "nordics"\nterritories = ["nordics"]', 'id = "nordics"',
         "rule southern-europe matches nobody: rule nordics takes all", "put it before nordics"),
        (ROUTING, 'id = "everywhere"', 'id = "everywhere"\ntopics = ["sales"]\ncountries = ["US"]',
         "the last rule, everywhere, does not take everything", "end with a rule"),
        (ROUTING, 'id = "nordics"\n', 'id = "nordics"\nlanguages = ["fi"]\nmatch_language = true\n',
         "nobody in pool nordics speaks fi", "add somebody"),
        (ROUTING, "after_minutes = 5, do", "after_minutes = 1, do", "the ladder does not rise", "rise"),
        (ROUTING, 'do = "offer"', 'do = "offfer"', "Invalid enum value", "escalate, offer, queue, reassign, remind"),
        (ROUTING, "[classes.hot_lead]", "[classes.hot]", "there is no class 'hot_lead'", "classes.hot_lead"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_remedy(
    file: str, before: str, after: str, message: str, remedy: str
) -> None:
    """Whoever keeps the rules learns what is wrong, where, and how to mend it."""
    error = refused(file, before, after)
    assert message in error.message
    assert remedy in error.remedy
    assert error.file in (file, ROUTING)
    assert error.line >= 1


def test_the_place_is_the_line_of_the_mistake() -> None:
    """The line named is the one with the wrong value."""
    error = refused(ROSTER, '"Europe/Copenhagen"', '"Europe/Kopenhagen"')
    line = SHIPPED[ROSTER].split("\n").index('zone = "Europe/Copenhagen"') + 1
    assert (error.file, error.line, error.field) == (ROSTER, line, "person[1].zone")


def test_a_missing_file_is_told() -> None:
    """All three files are needed."""
    with pytest.raises(RuleError, match=r"routing\.toml"):
        rules.load({name: text for name, text in SHIPPED.items() if name != ROUTING}, zone)


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        (Asked("contact_request", "press", "DK", "", 0, False), "office"),
        (Asked("contact_request", "sales", "FI", "fi", 99, True), "nordics"),
        (Asked("hot_lead", "sales", "PT", "", 0, False), "southern-europe"),
        (Asked("qualified", "sales", "", "", 0, False), "everywhere"),
    ],
)
def test_the_first_rule_that_fits_takes_it(asked: Asked, rule: str) -> None:
    """Rules are tried in their order; the last one takes what is left."""
    assert loaded(tuple(SHIPPED.items())).routing.route(asked).rule == rule
