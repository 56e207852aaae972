"""The shipped model by example: for each rule what gives points, how many, how often, and for how long."""

from __future__ import annotations

import pytest

from schemas.records import LeadAlert, LeadTransition
from tests.oracle.naive import DAY_S
from tests.streams.harness import MONDAY, SHIPPED, Box, Did, Time, naive, records

HOUR_S = 3600
PAGE_S = 60

# rule, what the lead does, at which hours after Monday 00:00, and the points of the rule at the last of them, undecayed
EXAMPLES = [
    ("page_view", Did(0, "page_view", "/"), [0] * 12, 10),
    ("page_view", Did(0, "page_view", "/"), [23, 24], 2),
    ("intent_page", Did(0, "page_view", "/en/pricing"), [0, 1], 20),
    ("intent_page", Did(0, "page_view", "/Compare/them"), [0, 24, 48], 40),
    ("intent_page", Did(0, "page_view", "/security"), [24, 48, 7 * 24], 60),
    ("intent_page", Did(0, "page_view", "/blog"), [0], 0),
    ("research_page", Did(0, "page_view", "/docs/start"), [0, 1, 2, 3], 15),
    ("research_page", Did(0, "page_view", "/case-studies/kestrel"), [0], 5),
    ("dwell", Did(0, "dwell", "/docs", properties=(("visible_seconds", 90),)), [0, 1, 2], 6),
    ("dwell", Did(0, "dwell", "/docs", properties=(("visible_seconds", 89),)), [0], 0),
    ("dwell", Did(0, "dwell", "/docs"), [0], 0),
    ("site_search", Did(0, "search", "price"), [0, 1, 2, 3], 9),
    ("download", Did(0, "download", "guide"), [0, 100], 15),
    ("video_watched", Did(0, "video_watch", "tour"), [0, 1, 2], 10),
    ("webinar_registered", Did(0, "webinar_register", "spring"), [0, 1], 10),
    ("webinar_attended", Did(0, "webinar_attend", "spring"), [0, 1], 20),
    ("badge_scan", Did(0, "event_scan", "fair"), [0, 1], 10),
    ("email_click", Did(0, "email_click", "mail"), [0, 1, 24], 10),
    ("email_open", Did(0, "email_open", "mail"), [0, 1, 24], 0),
    ("social", Did(0, "social", "post"), [0, 24, 48, 72], 9),
    ("ad_click", Did(0, "ad_click", "ad"), [0, 1, 24], 4),
    ("form_submitted", Did(0, "form_submit", "roi-calculator"), [0, 1], 10),
    ("form_submitted", Did(0, "form_submit", "Contact us"), [0], 0),
    ("newsletter", Did(0, "newsletter"), [0, 200], 3),
    ("cart", Did(0, "cart", "kit"), [0, 1, 24], 20),
    ("checkout", Did(0, "checkout"), [0, 1, 24], 40),
    ("trial_started", Did(0, "trial_start", "fleet"), [0, 1, 24], 60),
    ("key_product_action", Did(0, "custom:teammate_invited"), [0, 1, 2, 3], 30),
    ("raised_hand", Did(0, "demo_request"), [0, 1, 24], 100),
    ("raised_hand", Did(0, "contact_request"), [0], 50),
    ("referral", Did(0, "referral"), [0, 200], 20),
    ("careers_page", Did(0, "page_view", "/careers/engineer"), [0, 1, 24], -20),
    ("email_bounced", Did(0, "email_bounce", properties=(("bounce_type", "Hard"),)), [0, 200], -20),
    ("email_bounced", Did(0, "email_bounce", properties=(("bounce_type", "soft"),)), [0], 0),
]


def at(did: Did, seconds: float, name: object = "") -> Did:
    """The same, so many seconds after Monday."""
    return Did(MONDAY + int(seconds), did.kind, did.asset, did.lead, str(name), did.mail, did.verdict, did.properties)


def points(box: Box, rule: str) -> float:
    """The points of the rule before decay, after its limits."""
    rows = box.explain(MONDAY + 10 * DAY_S).rows
    return sum(row.limited_millipoints for row in rows if row.rule == rule) / 1000


@pytest.mark.parametrize(("rule", "did", "hours", "worth"), EXAMPLES)
def test_points_and_limits(rule: str, did: Did, hours: list[int], worth: float) -> None:
    """Doing that at those hours is worth so many points, before decay and caps."""
    story = [at(did, hour * HOUR_S + n * PAGE_S, n) for n, hour in enumerate(hours)]
    assert points(Box().feed(records(story)), rule) == worth


def test_every_rule_has_an_example() -> None:
    """No rule of the shipped model goes without an example here."""
    shown = {rule for rule, *_ in EXAMPLES} | {"deep_visit", "return_visit", "unsubscribe"}
    assert shown == {rule["id"] for rule in naive(SHIPPED).rules}


@pytest.mark.parametrize("rule", [rule["id"] for rule in naive(SHIPPED).rules if rule.get("points", 0) > 0])
def test_half_lives(rule: str) -> None:
    """After the rule's half-life half of a match's points is left."""
    by_rule = {name: did for name, did, *_ in reversed(EXAMPLES)}
    days = next(it["half_life_days"] for it in naive(SHIPPED).rules if it["id"] == rule)
    if rule not in by_rule:
        story = [at(Did(0), n * PAGE_S, n) for n in range(8)] + [at(Did(0), 2 * HOUR_S, "back")]
    else:
        story = [at(by_rule[rule], 0)]
    box = Box().feed(records(story))
    row = next(row for row in box.explain(MONDAY + DAY_S).rows if row.rule == rule)
    later = next(it for it in box.explain(row.at_s + days * DAY_S).rows if it.rule == rule)
    assert abs(later.decayed_millipoints - row.limited_millipoints / 2) <= 1


def test_deep_visit() -> None:
    """The eighth page of a visit gives seven points, once a day; a gap of thirty minutes begins a new visit."""
    deep = [at(Did(0), n * 29 * 60, n) for n in range(8)]
    assert points(Box().feed(records(deep)), "deep_visit") == 7
    twice = deep + [at(Did(0), 6 * HOUR_S + n * PAGE_S, f"b{n}") for n in range(8)]
    assert points(Box().feed(records(twice)), "deep_visit") == 7
    broken = deep[:4] + [at(it, 4 * 29 * 60 + 60 + n * PAGE_S, f"c{n}") for n, it in enumerate(deep[4:])]
    assert points(Box().feed(records(broken)), "deep_visit") == 0


def test_return_visit() -> None:
    """A visit that begins within seven days of the last gives eight points, once a week."""
    for days, worth in ((7, 8), (7.001, 0)):
        story = [at(Did(0), 0), at(Did(0), days * DAY_S)]
        assert points(Box().feed(records(story)), "return_visit") == worth
    daily = [at(Did(0), n * DAY_S, n) for n in range(9)]
    assert points(Box().feed(records(daily)), "return_visit") == 16


def test_unsubscribing() -> None:
    """Unsubscribing makes all e-mail points up to then worthless; the rows stay and say so."""
    story = [at(Did(0, "email_click"), 0), at(Did(0, "newsletter"), 60), at(Did(0, "unsubscribe"), 120)]
    box = Box().feed(records(story))
    assert box.score(MONDAY + 120) == 0
    assert {row.rule for row in box.explain(MONDAY + 120).rows} >= {"email_click", "newsletter", "unsubscribe"}
    box.feed(records([at(Did(0, "email_click"), DAY_S)], 10))
    assert box.score(MONDAY + DAY_S) == 5000


@pytest.mark.parametrize(
    ("kinds", "cap"),
    [
        (["download"] * 4, 50),
        (["trial_start", "cart", "checkout", *["custom:project_created"] * 3], 60),
        (["trial_start", "cart", "checkout", "demo_request"], 100),
    ],
)
def test_caps(kinds: list[str], cap: int) -> None:
    """However much a lead does of one sort, it is worth the cap of its group; all together at most a hundred."""
    story = [at(Did(0, kind, str(n)), 0, n) for n, kind in enumerate(kinds)]
    assert Box().feed(records(story)).score(MONDAY) == cap * 1000


def test_a_contact_becomes_qualified() -> None:
    """A visitor who leaves an address is an inquiry; with fifty points too it is marketing-qualified."""
    story = [
        at(Did(0, "page_view", "/pricing", "a:x"), 0),
        at(Did(0, "form_submit", "sample", "a:x", mail=True), 60),
        at(Did(0, "trial_start", "fleet", "a:x"), 120),
    ]
    said = Box().feed(records(story)).said(LeadTransition)
    assert [(it.aspect, it.before, it.after, it.source_offset) for it in said if it.aspect == "stage"] == [
        ("stage", "visitor", "inquiry", 2),
        ("stage", "inquiry", "mql", 4),
    ]


def test_an_alert_names_its_reasons() -> None:
    """The alert tells level, score and the three strongest reasons in words, strongest first."""
    story = [
        at(Did(0, "page_view", "/pricing", mail=True), 0),
        at(Did(0, "download", "guide"), 60),
        at(Did(0, "trial_start", "fleet"), 120),
    ]
    (alert,) = Box().feed(records([Time(MONDAY), *story])).said(LeadAlert)
    assert (alert.kind, alert.level, alert.follow_up, alert.source_offset) == ("hot_lead", 1, "after_session", 6)
    assert [(reason.rule, reason.text) for reason in alert.reasons] == [
        ("trial_started", "started a trial"),
        ("intent_page", "looked at Pricing"),
        ("download", "downloaded Guide"),
    ]
