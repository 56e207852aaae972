"""The console's metrics: one list, with unit and meaning.  No lead id, address or URL is ever a label."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Metrics of one console, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.page_seconds = Histogram(
            "handraise_console_page_seconds",
            "Time to answer a page or a question of the API, by its route.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.hand_seconds = Histogram(
            "handraise_console_hand_seconds",
            "Time from a raised hand's receipt by the gateway until it is pushed to browsers with its owner.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.happenings = Counter(
            "handraise_console_happenings_total",
            "Records that were shown as they came, by topic.",
            ["topic"],
            registry=self.registry,
        )
        self.withdrawn = Counter(
            "handraise_console_withdrawn_total",
            "Records that were shown and then aborted.",
            registry=self.registry,
        )
        self.unreadable = Counter(
            "handraise_console_unreadable_total",
            "Records that this release cannot read.",
            registry=self.registry,
        )
        self.listeners = Gauge(
            "handraise_console_listeners",
            "Browsers and services that listen at present.",
            registry=self.registry,
        )
        self.activities = Counter(
            "handraise_console_activities_total",
            "What people said, by outcome: done, refused, waiting (no word from the desk in time), away (no Kafka).",
            ["outcome"],
            registry=self.registry,
        )
