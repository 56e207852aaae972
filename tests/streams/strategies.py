"""Random stories for the laws: dense in ties, neighbours of limits, gaps of sessions, repeats and late arrivals."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.oracle.naive import DAY_S
from tests.streams.harness import MONDAY, Did, Time

Properties = st.SearchStrategy[tuple[tuple[str, Any], ...]]
Things = st.SearchStrategy[tuple[tuple[str, str], tuple[tuple[str, Any], ...]]]

LEADS = ("u:ana", "e:ben@c.example", "a:77aa")

_SHIPPED_EVENTS = (
    *[
        ("page_view", asset)
        for asset in ("/", "/x/pricing", "/docs/security", "/careers", "/en/case-study-1", "/prices")
    ],
    *[("page_view", asset) for asset in ("/customers/k", "/compare", "/JOBS/", "/en/plans")],
    *[("download", asset) for asset in ("guide", "paper", "Guide")],
    *[
        ("webinar_register", "w1"),
        ("webinar_attend", "w1"),
        ("event_scan", "fair"),
        ("video_watch", "v"),
        ("search", "q"),
    ],
    *[
        ("email_click", "n7"),
        ("email_open", "n7"),
        ("unsubscribe", "n7"),
        ("newsletter", ""),
        ("social", "p"),
        ("ad_click", ""),
    ],
    *[
        ("form_submit", "roi"),
        ("form_submit", "Contact-us"),
        ("cart", "kit"),
        ("checkout", ""),
        ("trial_start", "fleet"),
    ],
    *[("custom:project_created", ""), ("contact_request", ""), ("demo_request", ""), ("referral", ""), ("unknown", "")],
)
_SMALL_EVENTS = (
    *[("page_view", asset) for asset in ("/", "/skip/this", "/jobs", "/a/jobs/b", "/c")],
    *[("download", asset) for asset in ("a paper", "PAPERS", "/price?", "/pricey")],
    *[("form", "paper"), ("form", "other"), ("click", ""), ("stop", ""), ("unknown", "")],
)
_PROPERTIES: Properties = st.sampled_from(
    [(("bounce_type", "hard"),), (("bounce_type", "HARD"),), (("bounce_type", "soft"),), (("bounce_type", 7),), ()]
)
_SECONDS: Properties = st.sampled_from(
    [
        (("visible_seconds", 90),),
        (("visible_seconds", 89.9),),
        (("visible_seconds", 400),),
        (("visible_seconds", None),),
        (),
    ]
)
_SORTS: Properties = st.sampled_from(
    [(("sort", "Hard"),), (("sort", "hard"),), (("sort", "soft"),), (("sort", None),), ()]
)
_LONG: Properties = st.sampled_from(
    [(("seconds", 90),), (("seconds", 1.5e3),), (("seconds", 89),), (("seconds", "x"),), ()]
)


def moments(days: int) -> st.SearchStrategy[int]:
    """Seconds since the first Monday: often close together, on limits of sessions, days and weeks, or equal."""
    steps = [0, 1, 599, 600, 601, 1799, 1800, 1801, 5000, 40_000, DAY_S - 1]
    day = st.one_of(st.integers(0, days - 1), st.sampled_from([0, min(6, days - 1), min(7, days - 1)]))
    return st.builds(lambda n, a, b, c: n * DAY_S + min(a + b + c, DAY_S - 1), day, *[st.sampled_from(steps)] * 3)


def things(events: tuple[tuple[str, str], ...], odd: tuple[str, Properties]) -> Things:
    """(kind, asset, properties)"""
    nothing: tuple[tuple[str, Any], ...] = ()
    plain = st.tuples(st.sampled_from(events), st.just(nothing))
    special = st.tuples(st.just((odd[0], "x")), odd[1])
    return st.one_of(plain, plain, plain, special)


SHIPPED_THINGS: Things = st.one_of(
    things(_SHIPPED_EVENTS, ("email_bounce", _PROPERTIES)), things(_SHIPPED_EVENTS, ("dwell", _SECONDS))
)
SMALL_THINGS: Things = st.one_of(things(_SMALL_EVENTS, ("bounce", _SORTS)), things(_SMALL_EVENTS, ("dwell", _LONG)))


@st.composite
def dids(
    draw: st.DrawFn, *, small: bool = False, leads: int = 1, days: int = 35, most: int = 40, repeats: bool = True
) -> list[Did]:
    """Events in an arbitrary order, each with a name of its own, some of them repeated."""
    what = st.tuples(
        SMALL_THINGS if small else SHIPPED_THINGS,
        moments(days),
        st.sampled_from(LEADS[:leads]),
        st.sampled_from([False, False, True]),
        st.sampled_from(["human"] * 7 + ["bot"]),
    )
    found: list[Did] = []
    for n, (thing, at_s, lead, mail, verdict) in enumerate(draw(st.lists(what, min_size=min(8, most), max_size=most))):
        (kind, asset), properties = thing
        found.append(Did(MONDAY + at_s, kind, asset, lead, f"n{n}", mail, verdict, properties))
    if repeats:
        found += draw(st.lists(st.sampled_from(found), max_size=5))
    return found


@st.composite
def stories(draw: st.DrawFn, *, small: bool, leads: int = 3, days: int = 35, most: int = 40) -> list[Did | Time]:
    """Events mostly by time with some late, and ticks between them that mostly keep up."""
    happened = sorted(draw(dids(small=small, leads=leads, days=days, most=most)), key=lambda it: it.at_s)
    story: list[Did | Time] = list(happened)
    for _ in range(draw(st.integers(0, 4))):
        story.insert(draw(st.integers(0, len(story))), story.pop(draw(st.integers(0, len(story) - 1))))
    for place in sorted(draw(st.sets(st.integers(0, len(story)), max_size=8)), reverse=True):
        before = [it.at_s for it in story[:place]] or [MONDAY]
        lag = draw(st.sampled_from([-100, 0, 0, 1, 3600, DAY_S, 3 * DAY_S, 8 * DAY_S]))
        story.insert(place, Time(max(before) + lag))
    end = draw(st.sampled_from([0, 3 * DAY_S, 6 * DAY_S, 20 * DAY_S, 61 * DAY_S]))
    return [*story, Time(max(it.at_s for it in story) + end)]
