"""Reading Kafka as any other team would: confluent-kafka's consumer, and its own Avro deserializer."""

from __future__ import annotations

import http.server
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


class Row(NamedTuple):
    """A record as it lies in its partition."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def _schemas() -> dict[int, str]:
    lock = json.loads((SCHEMAS / "registry.lock.json").read_text())
    return {
        version["id"]: (SCHEMAS / "history" / record / f"v{version['version']}.avsc").read_text()
        for record, versions in lock.items()
        for version in versions
    }


class _Registry(http.server.BaseHTTPRequestHandler):
    """The one question of a schema registry that reading needs."""

    schemas = _schemas()

    def do_GET(self) -> None:
        """Answer `/schemas/ids/<id>`."""
        parts = self.path.partition("?")[0].strip("/").split("/")
        found = self.schemas.get(int(parts[2])) if parts[:2] == ["schemas", "ids"] and parts[2].isdigit() else None
        answer = {"error_code": 40403, "message": "Schema not found"} if found is None else {"schema": found}
        body = json.dumps(answer).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: Callable[..., http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """A web server of that handler on a free port; its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def registry() -> Iterator[str]:
    """The address of a schema registry that has the lock file's schemas under their ids."""
    with serving(_Registry) as url:
        yield url


@contextmanager
def consumer(kafka: str, **more: Any) -> Iterator[Consumer]:
    """A consumer that sees what is committed, in a group of its own."""
    settings = {
        "bootstrap.servers": kafka,
        "group.id": f"reader-{secrets.token_hex(4)}",
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    reader = Consumer(settings | more)
    try:
        yield reader
    finally:
        reader.close()


def subscribe(
    kafka: str,
    registry_url: str,
    topic: str,
    lead_id: str,
    enough: Callable[[list[dict[str, Any]]], bool],
    deadline_s: float = 30.0,
) -> list[dict[str, Any]]:
    """What a subscriber of another team gets of a lead, by confluent-kafka alone, until it is enough."""
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry_url}))
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + deadline_s
    with consumer(kafka) as reader:
        reader.subscribe([topic])
        while not enough(found):
            assert time.monotonic() < deadline, f"{topic}: after {deadline_s:g} s there is only {found}"
            message = reader.poll(0.2)
            if message is None:
                continue
            assert message.error() is None, message.error()
            body = deserialize(message.value(), SerializationContext(topic, MessageField.VALUE))
            if body is not None and body["lead_id"] == lead_id:
                found.append(body)
    return found


def rows(kafka: str, topic: str) -> list[Row]:
    """Everything in a topic, up to its present end, ordered within each partition."""
    found: list[Row] = []
    with consumer(kafka, **{"enable.partition.eof": True, "fetch.wait.max.ms": 10}) as reader:
        partitions = reader.list_topics(topic, timeout=20).topics[topic].partitions
        reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        unfinished = set(partitions)
        deadline = time.monotonic() + 60
        while unfinished:
            assert time.monotonic() < deadline, f"{topic}: partitions {unfinished} have no end"
            for message in reader.consume(5000, 0.02):
                _take(message, found, unfinished)
    return sorted(found, key=lambda row: (row.partition, row.offset))


def _take(message: Message, found: list[Row], unfinished: set[int]) -> None:
    error = message.error()
    if error is not None:
        assert error.code() == KafkaError._PARTITION_EOF, error
        unfinished.discard(message.partition())
        return
    found.append(Row(message.partition(), message.offset(), message.timestamp()[1], message.key(), message.value()))
