"""Every metric of the workers: name, unit, meaning, in one list; and the objects that count.

No lead id, mail address or URL is ever a label.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metric(NamedTuple):
    """One metric, as the documentation lists it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    labels: tuple[str, ...]
    about: str


METRICS = (
    Metric("handraise_lane_records_total", "counter", "records", ("role",), "Inbox records folded and committed."),
    Metric("handraise_lane_batches_total", "counter", "transactions", ("role",), "Transactions committed."),
    Metric("handraise_lane_changes_total", "counter", "records", ("role",), "State changes written to the changelog."),
    Metric(
        "handraise_lane_outputs_total",
        "counter",
        "records",
        ("role", "topic"),
        "Records published, by topic; what was rejected or quarantined is in its topic's count.",
    ),
    Metric(
        "handraise_lane_transaction_seconds",
        "histogram",
        "seconds",
        ("role",),
        "From the beginning of a transaction to the answer to its commit.",
    ),
    Metric(
        "handraise_lane_lag_records",
        "gauge",
        "records",
        ("role", "partition"),
        "Offsets between the inbox's last stable offset and what is folded.",
    ),
    Metric(
        "handraise_lane_takeover_seconds",
        "histogram",
        "seconds",
        ("role",),
        "From the fence to the last changelog record read.",
    ),
    Metric(
        "handraise_lane_expired_offsets_total",
        "counter",
        "offsets",
        ("role",),
        "Inbox offsets that retention removed before they were folded: lost. Alert on any.",
    ),
    Metric("handraise_lane_owned_partitions", "gauge", "partitions", ("role",), "Partitions this worker owns."),
    Metric(
        "handraise_lane_paused_partitions", "gauge", "partitions", ("role",), "Partitions that stand still for good."
    ),
    Metric("handraise_lane_rejected_total", "counter", "records", ("role",), "Inbox records that could not be read."),
    Metric("handraise_lane_stale_runs_total", "counter", "runs", ("role",), "Runs dropped after a rebalance."),
)

_BY_NAME = {metric.name: metric for metric in METRICS}
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class LaneMetrics:
    """The lane's counters, in a registry of their own, so that two lanes can live in one process."""

    def __init__(self, role: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._role = role
        self.records = self._counter("handraise_lane_records_total").labels(role)
        self.batches = self._counter("handraise_lane_batches_total").labels(role)
        self.changes = self._counter("handraise_lane_changes_total").labels(role)
        self.expired = self._counter("handraise_lane_expired_offsets_total").labels(role)
        self.rejected = self._counter("handraise_lane_rejected_total").labels(role)
        self.stale = self._counter("handraise_lane_stale_runs_total").labels(role)
        self.transaction_seconds = self._histogram("handraise_lane_transaction_seconds").labels(role)
        self.takeover_seconds = self._histogram("handraise_lane_takeover_seconds").labels(role)
        self.owned = self._gauge("handraise_lane_owned_partitions").labels(role)
        self.paused = self._gauge("handraise_lane_paused_partitions").labels(role)
        self._outputs = self._counter("handraise_lane_outputs_total")
        self._lag = self._gauge("handraise_lane_lag_records")
        self._lagging: set[int] = set()

    def published(self, topic: str, records: int) -> None:
        """Count outputs of one topic (logical name)."""
        self._outputs.labels(self._role, topic).inc(records)
        if topic == "engagement.rejected":
            self.rejected.inc(records)

    def lag(self, partition: int, records: int) -> None:
        """Tell how far a partition is behind."""
        self._lagging.add(partition)
        self._lag.labels(self._role, str(partition)).set(records)

    def disowned(self, partition: int) -> None:
        """Forget the lag of a partition that went elsewhere."""
        if partition in self._lagging:
            self._lagging.discard(partition)
            self._lag.remove(self._role, str(partition))

    def _counter(self, name: str) -> Counter:
        metric = _BY_NAME[name]
        return Counter(name, metric.about, metric.labels, registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        metric = _BY_NAME[name]
        return Gauge(name, metric.about, metric.labels, registry=self.registry)

    def _histogram(self, name: str) -> Histogram:
        metric = _BY_NAME[name]
        return Histogram(name, metric.about, metric.labels, registry=self.registry, buckets=_SECONDS)
