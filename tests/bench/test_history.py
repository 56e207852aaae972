"""Figures over time: what is written, and when a figure has fallen."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import __main__ as command
from bench import history, memory

Row = dict[str, Any]


def _row(cost: float, contender: str = "a fold", benchmark: str = "leads", **figures: Any) -> Row:
    runs = [round(cost * share, 4) for share in (1.1, 1.0, 1.4)]
    return {
        "contender": contender,
        "job": "300,000 events",
        "benchmark": benchmark,
        "cpu_us_per_event": runs[0],
        "events_per_s_per_core": round(1e6 / runs[0]),
        "rss_mib": 100.0,
        "runs": runs,
        **figures,
    }


def _entries(*rows: Row, pace: float = 40.0, machine: str = "2 cores, x") -> list[history.Entry]:
    return history.entries(rows, pace, "2026-11-22T10:00Z", "abc", machine)


def test_a_fall_is_named_with_its_figure() -> None:
    """What costs a sixth more than usual, in its best repetition, is named; what costs a seventh more is not."""
    before = [each for cost in (5.0, 5.1, 4.9) for each in _entries(_row(cost))]
    (fallen,) = history.falls(_entries(_row(5.9)), before)
    assert "leads, a fold, 300,000 events: cpu_us_best is 5.9, 18% worse than the median of the last 3 runs" in fallen
    assert history.falls(_entries(_row(5.7)), before) == []


def test_a_slower_hour_is_no_fall() -> None:
    """Where the yardstick takes longer in proportion, nothing has fallen; where it does not, it has."""
    before = _entries(_row(5.0)) * 3
    assert history.falls(_entries(_row(10.0), pace=80.0), before) == []
    assert history.falls(_entries(_row(5.0), pace=20.0), before)


def test_memory_and_waiting_do_not_depend_on_the_yardstick() -> None:
    """A latency is compared as it is, and so is memory."""
    before = _entries(_row(5.0, p99_ms=50.0)) * 3
    fallen = history.falls(_entries(_row(10.0, p99_ms=70.0, rss_mib=130.0), pace=80.0), before)
    assert ["p99_ms" in phrase for phrase in fallen] == [True, False]
    assert "rss_mib" in fallen[1]


def test_among_peers_the_client_loop_is_the_unit() -> None:
    """Ours falls when it costs more beside the raw client loop; how others fare is kept and not judged."""

    def peers(ours: float, loop: float, other: float = 300.0) -> list[history.Entry]:
        rows = (("Handraise's lane", "handraise", ours), ("loop", "aiokafka", loop), ("Faust", "faust", other))
        return _entries(*(_row(cost, title, "peers", name=name) for title, name, cost in rows))

    before = peers(5.0, 10.0) * 3
    assert history.falls(peers(10.0, 20.0, 3_000.0), before) == []
    (fallen,) = history.falls(peers(7.0, 10.0), before)
    assert "Handraise's lane" in fallen


def test_only_like_is_compared_with_like() -> None:
    """Another machine, job or unit begins a history of its own, which says nothing before it has three runs."""
    worse = _entries(_row(9.0))
    assert history.falls(worse, _entries(_row(5.0), machine="64 cores, y") * 5) == []
    assert history.falls(worse, _entries({**_row(5.0), "job": "another"}) * 5) == []
    assert history.falls(worse, _entries(_row(5.0)) * 2) == []
    assert history.falls(worse, _entries(_row(5.0)) * 3)


@given(st.lists(st.floats(1, 100), min_size=1, max_size=9), st.floats(1, 1_000))
def test_what_was_seen_lately_is_no_fall(costs: list[float], pace: float) -> None:
    """No cost within those of the last five runs is a fall, whatever the noise between them."""
    before = [each for cost in costs for each in _entries(_row(cost), pace=pace)]
    assert history.falls(_entries(_row(max(costs[-history.LAST :])), pace=pace), before) == []


@given(st.floats(1, 100), st.floats(1.2, 50), st.floats(1, 1_000))
def test_what_is_far_worse_than_a_steady_past_is_a_fall(cost: float, times: float, pace: float) -> None:
    """Where runs agree, a fifth more is always found."""
    assert history.falls(_entries(_row(cost * times), pace=pace), _entries(_row(cost), pace=pace) * 3)


def test_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    """What is appended is read again, behind what was there."""
    file = tmp_path / "history.jsonl"
    assert history.read(file) == []
    first, second = _entries(_row(5.0)), _entries(_row(6.0), _row(7.0, "another"))
    history.append(first, file)
    history.append(second, file)
    assert history.read(file) == first + second


def test_the_committed_history_can_be_read() -> None:
    """Each line in the repository names when, what, where and which figures."""
    for entry in history.read():
        assert entry.keys() == {
            *("at", "commit", "machine", "unit", "pace", "benchmark", "contender", "job", "figures"),
        }
        assert all(isinstance(value, int | float) for value in entry["figures"].values())


def test_a_run_that_fell_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark run writes its lines, and exits 1 when a figure has fallen against those before it."""
    monkeypatch.setattr(command, "FILE", tmp_path / "bench.json")
    file = tmp_path / "history.jsonl"
    monkeypatch.setattr(history.read, "__defaults__", (file,))
    monkeypatch.setattr(history.append, "__defaults__", (file,))
    monkeypatch.setattr(command, "yardstick_ns", lambda: 40.0)
    cost = 5.0
    monkeypatch.setattr(memory, "run", lambda **_: [_row(cost)])
    assert [command.main(["memory"]) for _ in range(3)] == [0, 0, 0]
    cost = 9.0
    assert command.main(["memory"]) == 1
    assert len(history.read(file)) == 4
    assert command.main(["--quick", "memory"]) == 0
    assert len(history.read(file)) == 4
