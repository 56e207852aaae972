"""The composition: nothing global, settings checked, metrics listed."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from agents.lane.app import make_app
from agents.lane.config import LaneConfig
from agents.lane.cursor import CursorUnreadable, decode_cursor, encode_cursor
from agents.lane.errors import LaneRefused
from agents.metrics import METRICS, LaneMetrics
from tests.agents.lane.counting_worker import config_of


async def test_two_lanes_live_in_one_process() -> None:
    """Building an app twice gives two groups, two registries, two tables."""
    first = make_app(config_of("127.0.0.1:1", "a.", 4))
    second = make_app(config_of("127.0.0.1:1", "b.", 2))
    assert (first.conf.id, second.conf.id) == ("a.count", "b.count")
    assert first.metrics.registry is not second.metrics.registry
    assert set(first.tables.changelog_topics) == {"a.changelog"}
    assert first.not_ready() == ["recovering: partitions are being assigned and states read"]


async def test_the_lanes_settings_reach_faust() -> None:
    """Session, instance and batch sizes are those of the configuration."""
    conf = make_app(config_of("k1:9,k2:9", "a.", 4, instance_id="w-1", session_timeout_s=8.0, max_batch=3000)).conf
    assert conf.broker_session_timeout == 8.0
    assert conf.consumer_group_instance_id == "w-1"
    assert conf.broker_max_poll_records == 3000
    assert [(url.host, url.port) for url in conf.broker] == [("k1", 9), ("k2", 9)]


@pytest.mark.parametrize(
    ("field", "value"), [("partitions", 0), ("max_batch", 0), ("session_timeout_s", 1.0), ("role", "")]
)
def test_impossible_settings_are_refused_with_the_remedy(field: str, value: object) -> None:
    """The message names the setting and its value."""
    settings = {"bootstrap": "k:9", "prefix": "", "partitions": 4, field: value}
    config = config_of("k:9", "", 4)
    with pytest.raises(LaneRefused, match=field) as refused:
        LaneConfig(**{**vars(config), **settings})
    assert repr(value) in refused.value.what
    assert refused.value.remedy


def test_every_listed_metric_is_served_and_every_served_one_is_listed() -> None:
    """The list in agents/metrics.py is what /metrics shows."""
    metrics = LaneMetrics("leads")
    metrics.published("engagement.rejected", 2)
    metrics.lag(3, 17)
    text = generate_latest(metrics.registry).decode()
    served = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    listed = {metric.name for metric in METRICS}
    assert {name for name in served if not name.endswith("_created")} == listed
    assert 'handraise_lane_rejected_total{role="leads"} 2.0' in text
    metrics.disowned(3)
    assert "handraise_lane_lag_records{" not in generate_latest(metrics.registry).decode()


def test_a_cursor_is_read_as_it_was_written() -> None:
    """Offset, topic id and partition count survive."""
    cursor = decode_cursor(encode_cursor(2**40, "8c0f", 24))
    assert (cursor.next_offset, cursor.topic_id, cursor.partitions) == (2**40, "8c0f", 24)


@pytest.mark.parametrize("value", [None, b"", b"\x00", b"\x94\x03\x05\xa1x\x02", b"\x91\x01"])
def test_any_other_bytes_are_no_cursor(value: bytes | None) -> None:
    """Garbage and unknown versions raise CursorUnreadable, and nothing else."""
    with pytest.raises(CursorUnreadable):
        decode_cursor(value)
