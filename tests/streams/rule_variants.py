"""Rule sets that differ from the small one of the laws in one way each: what there is to promote."""

from __future__ import annotations

from tests.streams.harness import SMALL, Promoted


def variant(*changes: tuple[str, str]) -> Promoted:
    """The small rules with these texts replaced, wherever they stand."""
    model, alerts = SMALL["model.toml"], SMALL["alerts.toml"]
    for old, new in changes:
        assert old in model + alerts, old
        model, alerts = model.replace(old, new), alerts.replace(old, new)
    return Promoted((("alerts.toml", alerts), ("model.toml", model)))


def _without(id: str) -> str:
    """The text of a rule."""
    start = SMALL["model.toml"].index(f'[[rule]]\nid = "{id}"')
    end = SMALL["model.toml"].find("[[rule]]", start + 1)
    return SMALL["model.toml"][start : end if end > 0 else None]


NEW_RULE = """
[[rule]]
id = "any_page"
code = 11
kinds = ["page_view", "unknown"]
points = 6
limits = [{ count = 2, per = "day" }]
half_life_days = 20
group = "deal"
reason = "was there {times}"
"""
VARIANTS = {
    "as it was": variant(),
    "other words": variant(('reason = "pages {times}"', 'reason = "saw {times}"')),
    "dearer": variant(("points = 13", "points = 31")),
    "cheaper": variant(("points = 13", "points = 3"), ("points = 17", "points = 5")),
    "hot sooner": variant(("hot_at = 60 ", "hot_at = 25 "), ("cool_below = 45 ", "cool_below = 12 ")),
    "hot never": variant(("hot_at = 60 ", "hot_at = 99 "), ("cool_below = 45 ", "cool_below = 90 ")),
    "qualified sooner": variant(("mql_at = 40", "mql_at = 10")),
    "other half-lives": variant(
        ("half_life_days = 30", "half_life_days = 4"), ("half_life_days = 3\n", "half_life_days = 9\n")
    ),
    "tighter limits": variant(("count = 3, per", "count = 1, per"), ("count = 2, per", "count = 1, per")),
    "longer visits": variant(
        ("session_gap_minutes = 10", "session_gap_minutes = 40"), ("session_page = 3", "session_page = 2")
    ),
    "other caps": variant(("cap = 70", "cap = 20"), ("cap = 40 }", "cap = 80 }")),
    "sooner forgotten": variant(("anonymous_idle_days = 5", "anonymous_idle_days = 1")),
    "later forgotten": variant(("anonymous_idle_days = 5", "anonymous_idle_days = 12")),
    "no papers": variant((_without("paper"), "")),
    "one rule more": variant((_without("jobs"), _without("jobs") + NEW_RULE)),
}
