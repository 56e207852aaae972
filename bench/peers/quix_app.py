"""The simple job in Quix Streams: a streaming dataframe with state, which keeps a changelog of its own."""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application, State

from bench.peers.job import ARGUMENTS, NEW, Marks, step, task

given = task(sys.argv[1:])
guarantee, commit_s = sys.argv[1 + ARGUMENTS :]
marks = Marks(given)
app = Application(
    broker_address=given.kafka,
    consumer_group=given.group,
    auto_offset_reset="earliest",
    processing_guarantee=guarantee,  # type: ignore[arg-type]
    commit_interval=float(commit_s),
    state_dir=given.folder,
    loglevel="WARNING",
)
events = app.topic(given.events, key_deserializer="bytes", value_deserializer="json")
alerts = app.topic(given.alerts, key_serializer="bytes", value_serializer="json")


def score(event: dict[str, Any], state: State) -> dict[str, Any] | None:
    """Fold an event into its lead; the state if it is one to alert about."""
    known = state.get("lead")
    before = (known["score"], known["at"], known["hot"]) if known else NEW
    (points, at, hot), alert = step(before, event["kind"], event["occurred_at"])
    lead = {"score": points, "at": at, "hot": hot}
    state.set("lead", lead)
    marks.add()
    return lead if alert else None


frame = app.dataframe(events)
frame = frame.apply(score, stateful=True)
frame = frame[frame.apply(lambda alert: alert is not None)]
frame.to_topic(alerts)

if __name__ == "__main__":
    app.run()
