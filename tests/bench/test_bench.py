"""The benchmarks themselves, at tiny size on real Kafka."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench import console, desk, gateway, latency, leads, memory, replay, restart, scale
from bench.kit import percentile
from bench.latency import Scene
from bench.traffic import traffic

_FIELDS = {"contender", "job", "cpu_us_per_event", "events_per_s_per_core", "rss_mib", "runs"}


def _rows(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    assert len(rows) == count
    assert all(row.keys() >= _FIELDS for row in rows)
    assert json.loads(json.dumps(rows)) == rows
    return rows


def test_leads(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lead fold is measured through the lane and alone, over the same events, and its profile is written."""
    monkeypatch.setattr(leads, "PROFILE", tmp_path / "fold.txt")
    monkeypatch.setattr(leads, "LANE_PROFILE", tmp_path / "lane.txt")
    rows = _rows(leads.run(kafka, leads=1_000, runs=1, profile=True), 7)
    lane, linking, signing_in_lane, counting, alone, python, signing_in = rows
    assert lane["job"] == counting["job"] == alone["job"]
    assert all(row["cpu_us_per_event"] > 0 for row in (lane, counting, alone))
    assert {name: python[name] for name in python if name.endswith("_per_event") and name != "cpu_us_per_event"} == {
        name: alone[name] for name in alone if name.endswith("_per_event") and name != "cpu_us_per_event"
    }
    assert lane["mail_per_event"] == 0 < linking["mail_per_event"] < signing_in_lane["mail_per_event"]
    assert signing_in["lead.events_per_event"] > 0
    assert alone["lead.state_per_event"] > 0
    assert "us an event over" in (tmp_path / "lane.txt").read_text()


def test_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each raised hand gets an assignment, two notices and its event on the way to the lead; the profile is written."""
    monkeypatch.setattr(desk, "PROFILE", tmp_path / "desk.txt")
    rows = _rows(desk.run(count=300, runs=1, profile=True), 2)
    assert [row["outputs_each"] for row in rows] == [4.0, 4.0]
    assert "fold.py" in (tmp_path / "desk.txt").read_text()


def test_console(redis_url: str) -> None:
    """Each page is made from what stands in Redis, and its time is told."""
    for row in _rows(console.run(count=2, runs=1, url=redis_url), 3):
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["html_kib"] > 5


def test_scale() -> None:
    """Both fold the same visits, among more leads and among fewer."""
    few, many = _rows(scale.run(few=600, many=1_200, visitors=500, turn=1_000), 2)
    assert len(few["runs"]) == len(many["runs"]) > 0
    assert many["to_few"] > 0


def test_latency(kafka: str) -> None:
    """Every alert and every assignment that the traffic must cause is read by both readers, and shown in a browser."""
    alert, committed_alert, hand, committed_hand, shown = _rows(latency.run(kafka, [Scene(2.0, 50.0, 20, 200)]), 5)
    assert alert["records"] == committed_alert["records"] > 0
    assert hand["records"] == committed_hand["records"] == shown["records"] > 0
    for row in (alert, hand, shown):
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]


def test_replay(kafka: str) -> None:
    """What a worker has folded is verified, mail and all, by one process and by two."""
    for row in _rows(replay.run(kafka, leads=300, runs=1), 2):
        assert row["compared_per_record"] > 0.2  # ticks are compared with nothing
        assert row["records_per_s"] > 0


def test_restart(kafka: str) -> None:
    """A worker gets ready on a changelog that was written for it, and folds the event that waits."""
    (row,) = _rows(restart.run(kafka, leads=2_000, runs=1), 1)
    assert 0 < row["ready_s"] <= row["first_event_s"] + 1


def test_memory() -> None:
    """A lead's bytes in memory are more than those of its state, and repeats do not count among its events."""
    _, row = _rows(memory.run(leads=1_000, warm=500), 2)
    assert row["encoded_state_bytes"] > 100
    assert row["scored_events_a_lead"] == 10.0


def test_gateway(kafka: str) -> None:
    """What is sent is acknowledged, in batches and one by one."""
    assert {row["contender"] for row in _rows(gateway.run(kafka, seconds=0.3, runs=1), 2)} == {"handraise gateway"}


def test_a_seed_tells_one_story() -> None:
    """The same seed makes the same events, in order of time."""
    assert traffic(1, 20, 1_794_182_400_000) == traffic(1, 20, 1_794_182_400_000)
    assert traffic(1, 20, 1_794_182_400_000) != traffic(2, 20, 1_794_182_400_000)


def test_percentiles() -> None:
    """A percentile is the smallest value that at least so many per cent of the values do not exceed."""
    assert [percentile(range(1, 101), percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7.0], 99) == 7.0


def test_rows_of_other_benchmarks_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark that runs alone replaces its own rows in build/bench.json and no others."""
    file = tmp_path / "bench.json"
    file.write_text(json.dumps([{"benchmark": "memory", "job": "old"}, {"benchmark": "gateway", "job": "kept"}]))
    monkeypatch.setattr(command, "FILE", file)
    monkeypatch.setattr(memory, "run", lambda **_: [{"job": "new"}])
    assert command.main(["--quick", "memory"]) == 0
    assert [(row["benchmark"], row["job"]) for row in json.loads(file.read_text())] == [
        ("gateway", "kept"),
        ("memory", "new"),
    ]
