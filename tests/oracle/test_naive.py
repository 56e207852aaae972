"""The oracle itself, against numbers worked out by hand."""

from pathlib import Path

import pytest

from tests.oracle.naive import DAY_S, Event, Lead, Model, line, reasons, score, visits

RULES = Path(__file__).resolve().parents[2] / "rules"
MONDAY = 20_766 * DAY_S  # 2026-11-09


@pytest.fixture(scope="module")
def model() -> Model:
    """Return the shipped rules."""
    return Model((RULES / "model.toml").read_text(), (RULES / "alerts.toml").read_text())


def lead(model: Model, *happened: tuple[str, str, int]) -> Lead:
    """Return a lead to whom that happened: (kind, asset, seconds after Monday)."""
    one = Lead("u_x")
    for n, (kind, asset, at_s) in enumerate(happened):
        one.accept(model, Event(n.to_bytes(8, "big"), MONDAY + at_s, kind, asset), 0)
    return one


def test_points_halve_in_a_half_life(model: Model) -> None:
    """A download is worth 15, and 7.5 after 30 days."""
    one = lead(model, ("download", "paper", 0))
    assert score(model, one.ledger(model), MONDAY) == 15
    assert score(model, one.ledger(model), MONDAY + 30 * DAY_S) == 7.5


def test_a_limit_counts_the_earliest(model: Model) -> None:
    """Of two e-mail clicks of a day the earlier counts, though it came later."""
    one = lead(model, ("email_click", "", 3600), ("email_click", "", 60))
    assert [(row.event.at_s - MONDAY, row.limited) for row in one.ledger(model)] == [(60, 5.0), (3600, 0.0)]


def test_two_limits_must_both_have_room(model: Model) -> None:
    """A pricing page counts once a day and twice a week."""
    days = [("page_view", "/pricing", n * DAY_S + extra) for n in range(3) for extra in (0, 60)]
    rows = [row for row in lead(model, *days).ledger(model) if row.rule["id"] == "intent_page"]
    assert [row.limited for row in rows] == [20.0, 0.0, 20.0, 0.0, 0.0, 0.0]


def test_a_visit_ends_with_a_gap(model: Model) -> None:
    """Thirty minutes without a page end a visit; a second less does not; a return within a week gives 8 points."""
    one = lead(model, *[("page_view", "/", at) for at in (0, 1799, 3599, 7200)])
    assert [len(run) for run in visits(model, one.events)] == [2, 1, 1]
    assert score(model, one.ledger(model), MONDAY + 7200) == pytest.approx(4 + 8, abs=0.1)


def test_unsubscribing_clears_its_group(model: Model) -> None:
    """Points for e-mails up to an unsubscribe are worth nothing, and use up their limits."""
    one = lead(model, ("email_click", "", 0), ("unsubscribe", "", 60), ("email_click", "", DAY_S))
    assert score(model, one.ledger(model), MONDAY + DAY_S) == 5
    one = lead(model, ("newsletter", "", 0), ("unsubscribe", "", 60), ("newsletter", "", DAY_S))
    assert score(model, one.ledger(model), MONDAY + DAY_S) == 0


def test_caps_and_negative_points(model: Model) -> None:
    """A group is worth at most its cap, may be negative, and the score is never below zero."""
    one = lead(model, ("page_view", "/careers", 0))
    assert score(model, one.ledger(model), MONDAY) == 0
    one = lead(model, *[("download", str(n), 0) for n in range(4)], ("page_view", "/jobs", 0))
    assert score(model, one.ledger(model), MONDAY) == 50 - 9
    assert reasons(one.ledger(model), MONDAY) == [("download", 60.0), ("page_view", 1.0)]


def test_the_line_is_a_monday(model: Model) -> None:
    """Points older than the Monday 35 days back are beyond the line."""
    assert line(MONDAY + 3 * DAY_S) == MONDAY - 35 * DAY_S
    assert line(MONDAY - 1) == MONDAY - 42 * DAY_S
