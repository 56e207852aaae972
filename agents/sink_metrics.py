"""Every metric of mirror and notify, the roles beside the folds: names, meanings, and the objects that count."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class MirrorMetrics:
    """What mirror counts."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.records = Counter(
            "handraise_mirror_records_total", "Records folded into the read side.", ["topic"], registry=registry
        )
        self.unreadable = Counter(
            "handraise_mirror_unreadable_total",
            "Records that could not be read and changed nothing.",
            ["topic"],
            registry=registry,
        )
        self.lag = Gauge("handraise_mirror_lag_records", "Records not in the read side yet.", registry=registry)
        self.generation = Gauge("handraise_mirror_generation", "The generation that is kept.", registry=registry)
        self.rebuilds = Counter(
            "handraise_mirror_rebuilds_total", "Generations filled from the topics' beginnings.", registry=registry
        )
        self.write_seconds = Histogram(
            "handraise_mirror_write_seconds", "Writing a batch to Redis.", buckets=_SECONDS, registry=registry
        )


class NotifyMetrics:
    """What notify counts."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.deliveries = Counter(
            "handraise_notify_deliveries_total",
            "Attempts and ends recorded: sent, failed, dead or skipped.",
            ["channel", "status"],
            registry=registry,
        )
        self.late = Counter(
            "handraise_notify_late_total", "Notices that were delivered late.", ["channel"], registry=registry
        )
        self.pending = Gauge("handraise_notify_pending", "Notices that are not delivered yet.", registry=registry)
        self.attempt_seconds = Histogram(
            "handraise_notify_attempt_seconds", "One attempt.", ["channel"], buckets=_SECONDS, registry=registry
        )
        self.unreadable = Counter(
            "handraise_notify_unreadable_total", "Notices that could not be read.", registry=registry
        )
