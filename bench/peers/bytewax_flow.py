"""The simple job as a dataflow of Bytewax: Kafka in, a stateful map, two Kafka sinks; recovery on disk."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench.peers.job import NEW, Marks, State, step, task

given = task(sys.argv[1:])
marks = Marks(given)


def score(state: State | None, event: dict[str, Any]) -> tuple[State, tuple[State, bool]]:
    """Fold an event into its lead."""
    after, alert = step(state or NEW, event["kind"], event["occurred_at"])
    marks.add()
    return after, (after, alert)


def keyed(message: KafkaSourceMessage[bytes, bytes]) -> tuple[str, dict[str, Any]]:
    """(lead, event) of a record."""
    return message.key.decode(), json.loads(message.value)


def told(scored: tuple[str, tuple[State, bool]]) -> KafkaSinkMessage[bytes, bytes]:
    """The state of a lead as a record."""
    lead, ((points, at, hot), _) = scored
    return KafkaSinkMessage(lead.encode(), json.dumps({"score": points, "at": at, "hot": hot}).encode())


flow = Dataflow("scores")
source = kop.input("events", flow, brokers=[given.kafka], topics=[given.events], batch_size=1000)
scored = op.stateful_map("score", op.map("keyed", source.oks, keyed), score)
kop.output("states", op.map("state", scored, told), brokers=[given.kafka], topic=given.states)
crossed = op.filter("crossed", scored, lambda each: each[1][1])
kop.output("alerts", op.map("alert", crossed, told), brokers=[given.kafka], topic=given.alerts)

if __name__ == "__main__":
    recovery = Path(given.folder)
    init_db_dir(recovery, 1)
    cli_main(flow, epoch_interval=timedelta(seconds=10), recovery_config=RecoveryConfig(str(recovery)))
