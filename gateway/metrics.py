"""The gateway's metrics: one list, with unit and meaning.  No lead id, address or URL is ever a label."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2500)


class Metrics:
    """Metrics of one gateway, in a registry of their own, so that a process (a test) can have several gateways."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "handraise_gateway_requests_total",
            "Requests on the ingest paths, by status of the answer.",
            ["status"],
            registry=self.registry,
        )
        self.events = Counter(
            "handraise_gateway_events_total",
            "Events by source and outcome: accepted, rejected (dead letter) or dropped (by the visitor's wish).",
            ["source", "outcome"],
            registry=self.registry,
        )
        self.rejected = Counter(
            "handraise_gateway_rejected_total",
            "Events in the dead letter topic, by reason.",
            ["code"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "handraise_gateway_request_seconds",
            "Time from the request's body to its answer, Kafka's acknowledgement included.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_events = Histogram(
            "handraise_gateway_batch_events",
            "Records in one batch to one partition.",
            buckets=_EVENTS,
            registry=self.registry,
        )
        self.buffer_bytes = Gauge(
            "handraise_gateway_buffer_bytes",
            "Bytes of records that Kafka has not confirmed yet.",
            registry=self.registry,
        )
        self.connections = Gauge(
            "handraise_gateway_connections",
            "Connections of clients that are open.",
            registry=self.registry,
        )
        self.connections_cut = Counter(
            "handraise_gateway_connections_cut_total",
            "Connections ended before their client was done: out of time (opened, head, body, answer, idle, linger, "
            "closing: what was waited for), no HTTP (unreadable, overhead), too many (made_room, no_room).",
            ["why"],
            registry=self.registry,
        )
        self.producers_replaced = Counter(
            "handraise_gateway_producers_replaced_total",
            "Kafka producers that broke and were replaced.",
            registry=self.registry,
        )
        self.stamps = Counter(
            "handraise_gateway_stamps_total",
            "Raised hands by what the read side says: known, unknown, no_answer (in time), not_asked (just after).",
            ["outcome"],
            registry=self.registry,
        )
        self.stamp_seconds = Histogram(
            "handraise_gateway_stamp_seconds",
            "Asking the read side who raises a hand.",
            buckets=_SECONDS,
            registry=self.registry,
        )
