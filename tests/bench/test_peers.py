"""The comparison with others: the job, the oracle, and the harness at tiny size on real Kafka."""

import dataclasses
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.peers import compare, contenders, environments
from bench.peers.chart import chart
from bench.peers.job import NEW, POINTS, State, step
from bench.peers.oracle import differences, truth
from bench.peers.page import tables

Events = list[tuple[bytes, str, int]]
_EVENTS = st.lists(
    st.tuples(
        st.sampled_from([b"a", b"b"]), st.sampled_from([*POINTS, "unsubscribe"]), st.integers(10**12, 10**12 + 10**10)
    ),
    max_size=40,
)


def _folded(events: Events) -> tuple[dict[bytes, float], dict[bytes, int]]:
    states: dict[bytes, State] = {}
    alerts: dict[bytes, int] = {}
    for lead, kind, at in events:
        states[lead], alert = step(states.get(lead, NEW), kind, at)
        if alert:
            alerts[lead] = alerts.get(lead, 0) + 1
    return {lead: state[0] for lead, state in states.items()}, alerts


@given(_EVENTS)
def test_carrying_a_score_and_adding_it_up_come_to_the_same(events: Events) -> None:
    """What contenders do step by step is what the oracle adds up anew, in any order of times."""
    assert differences(truth(events), *_folded(events)) == []


@given(_EVENTS.filter(bool), st.data())
def test_an_event_lost_or_doubled_is_seen(events: Events, data: st.DataObject) -> None:
    """A result over one scoring event less, or one twice, differs from the oracle's."""
    scoring = [number for number, (_, kind, _) in enumerate(events) if kind in POINTS]
    if not scoring:
        return
    number = data.draw(st.sampled_from(scoring))
    recent = [(lead, kind, 10**12 + at % 10**8) for lead, kind, at in events]
    for wrong in (recent[:number] + recent[number + 1 :], recent[: number + 1] + recent[number:]):
        assert differences(truth(recent), *_folded(wrong))


def test_alerts_lost_or_doubled_are_seen() -> None:
    """An alert missing or too many is told in words, with its number."""
    expected = truth([(b"a", "demo_request", 10**12)])
    assert expected.alerts == {b"a": 1}
    assert differences(expected, expected.scores, {}) == ["1 alerts missing"]
    assert differences(expected, expected.scores, {b"a": 3}) == ["2 alerts too many"]


def _rows(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["name"] == name]


def test_the_comparison(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours comes to what is right; one that cannot be had, or ends, is skipped with the reason."""

    def nowhere() -> list[str]:
        raise environments.Unavailable("there is no such thing")

    absent = dataclasses.replace(contenders.OURS, name="absent", title="absent", command=nowhere)
    ends = dataclasses.replace(contenders.OURS, name="ends", title="ends", command=lambda: ["false"])
    monkeypatch.setattr(compare, "CONTENDERS", (contenders.OURS, absent, ends))
    monkeypatch.setattr(compare, "PROMPT", (contenders.OURS,))
    rows = compare.run(kafka, leads=300, runs=1, seconds=1.0)
    simple, late = _rows(rows, "handraise")
    assert simple["cpu_us_per_event"] > 0
    assert simple["cold_us_per_event"] > simple["cpu_us_per_event"]
    assert simple["wrong"] == ""
    assert 0 < late["p50_ms"] <= late["p99_ms"] <= late["max_ms"]
    assert _rows(rows, "absent")[0]["skipped"] == "there is no such thing"
    assert "ended with 1" in _rows(rows, "ends")[0]["skipped"]
    assert _rows(rows, "whole")[0]["cpu_us_per_event"] > 0
    simple["wrong"] = "2 alerts missing"
    text = "\n".join(tables(rows))
    assert "skipped: there is no such thing" in text
    assert "**wrong**: 2 alerts missing" in text


def test_the_chart_shows_who_was_measured_and_right() -> None:
    """A well-formed picture names each contender that was right, cheapest first, and no other."""
    rows = [
        {
            "title": name,
            "format": "JSON",
            "guarantee": contenders.ONCE,
            "cpu_us_per_event": cost,
            "runs": [cost, cost] if cost else [],
            "wrong": wrong,
            "at": "2026-11-22T10:00Z",
            "load_before": 0.5,
        }
        for name, cost, wrong in (("b <&>", 300.0, ""), ("a", 5.5, ""), ("skipped", None, ""), ("off", 2.0, "1 off"))
    ]
    drawn = ElementTree.fromstring(chart(rows))  # noqa: S314 -- our own
    names = [each.text for each in drawn.iter() if each.get("class") in ("name", "name ours")]
    assert names == ["a, JSON", "b <&>, JSON"]


def test_every_contender_is_locked_and_named_once() -> None:
    """Names differ, and every environment's list has a hash for each of its packages."""
    assert len({each.name for each in contenders.CONTENDERS}) == len(contenders.CONTENDERS)
    lists = sorted((environments.HERE / "requirements").glob("*.txt"))
    assert len(lists) == 6
    for wanted in lists:
        packages = wanted.read_text().split("\n\n")[0]
        assert packages.count("==") <= packages.count("--hash=sha256:")
