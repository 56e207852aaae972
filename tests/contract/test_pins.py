"""The internals of Faust, mode and aiokafka that the lane overrides, calls or reads: they must be as they were read.

A new version of a library fails here by the name of what changed. Read it, compare it with what the lane relies on (the
reason beside it), run the fault tests, then put the new fingerprint.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import inspect
from importlib.metadata import version
from typing import Any, NamedTuple

import pytest


class Pin(NamedTuple):
    """One function or class, the fingerprint of its source, and what the lane relies on there."""

    where: str
    fingerprint: str
    why: str


PINS = (
    # overridden
    Pin(
        "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._create_worker_consumer",
        "c2701bfc3e6f6cad",
        "we change three attributes of what it returns before it is started",
    ),
    Pin(
        "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.verify_event_path",
        "b983e7735f647cb3",
        "overridden: nothing but log lines hangs on it",
    ),
    Pin(
        "faust.transport.drivers.aiokafka:Consumer._new_consumer_thread",
        "0870ec53dea75083",
        "overridden to make our thread",
    ),
    Pin("faust.transport.consumer:Consumer._add_gap", "4df2573ded7c1c2c", "overridden: jumping offsets are no gaps"),
    Pin(
        "faust.transport.consumer:Consumer._new_offset",
        "1d2c7ea89a7ad4f1",
        "overridden: commits the head of the runs handed out",
    ),
    Pin("faust.transport.consumer:Consumer.getmany", "4b168d84882a70d6", "overridden: what its callers expect of it"),
    Pin("faust.transport.consumer:Consumer.perform_seek", "0e8c130ff4b0afd8", "overridden: seeks to the slots' places"),
    Pin(
        "faust.transport.consumer:Consumer.ack",
        "5fcf41cf45153475",
        "overridden for stale runs; fills _acked and _acked_index",
    ),
    Pin("faust.transport.consumer:Consumer.on_partitions_revoked", "d04b7ae72c6fc206", "overridden: commits first"),
    Pin(
        "faust.transport.consumer:ThreadDelegateConsumer.seek_wait",
        "e9db5bbc4ceb2543",
        "overridden: never while a fetch is in flight",
    ),
    Pin("faust.tables.recovery:Recovery._wait", "ec7429b70176f8c6", "overridden: a time-out ends the process"),
    Pin("faust.tables.recovery:Recovery.need_recovery", "fd1dc345b5d5e121", "overridden: never"),
    Pin(
        "faust.tables.recovery:Recovery.on_recovery_completed",
        "6ef567acf072e46d",
        "overridden: what Faust does when it has recovered",
    ),
    Pin("faust.tables.manager:TableManager.on_start", "365dd25fbc0e0684", "overridden without its sleep"),
    Pin("faust.tables.manager:TableManager.recovery", "f0bf5de78b4c3d23", "overridden to make our recovery"),
    Pin("faust.app.base:App.on_first_start", "ec655d9c223403cc", "overridden: makes directories, nothing else"),
    # called or read
    Pin(
        "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._fetch_records",
        "39a2c6c79fc1455a",
        "called with a snapshot of the partitions",
    ),
    Pin(
        "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._ensure_consumer",
        "ff4a4c693b7ec63f",
        "called for the aiokafka consumer",
    ),
    Pin(
        "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._seek_wait",
        "9d221e816d940467",
        "seeks, and resets _read_offset",
    ),
    Pin(
        "faust.transport.consumer:Consumer.__init__",
        "302410d59e6972d1",
        "the books that are cleared: _acked, _acked_index, _committed_offset",
    ),
    Pin(
        "faust.transport.consumer:Consumer._get_active_partitions",
        "b24897f3c7afdb5d",
        "called: the live set that is copied",
    ),
    Pin(
        "faust.transport.consumer:Consumer._is_changelog_tp",
        "88867d75cfe9aecf",
        "called: tells the changelog from the inbox",
    ),
    Pin(
        "faust.transport.consumer:Consumer._drain_messages",
        "44a2500309e83c63",
        "iterates over getmany; drops what lies below _read_offset",
    ),
    Pin(
        "faust.transport.consumer:Consumer.on_partitions_assigned",
        "29ce96596f05a18c",
        "resets active and paused partitions before the recovery",
    ),
    Pin(
        "faust.transport.consumer:Consumer._commit_offsets",
        "1a69799041188441",
        "commits are information; flushes Faust's producer",
    ),
    Pin(
        "faust.tables.recovery:Recovery._restart_recovery",
        "6bd8a8558a2dffe4",
        "its order: highwaters, flow resumed with nothing active, on_recovery_completed",
    ),
    Pin("faust.tables.recovery:Recovery._build_highwaters", "91b4cc0d3724ae7b", "active_highwaters are ends minus one"),
    Pin("faust.tables.recovery:Recovery._set_recovery_ended", "84badf3f2cfe0d02", "called"),
    Pin(
        "faust.tables.manager:TableManager._update_channels",
        "88e3941facc934d6",
        "called at start; pauses the changelog partitions",
    ),
    Pin(
        "faust.tables.manager:TableManager.on_rebalance", "2d2c23a07bf54328", "starts the recovery of a new generation"
    ),
    Pin("faust.app.base:App._on_partitions_assigned", "de932b7927db85b3", "the order of a rebalance"),
    Pin("faust.app.base:App._on_partitions_revoked", "d5c895bbe57dc73a", "the order of a rebalance"),
    Pin("faust.app.base:App.on_rebalance_start", "5c1e23de30674082", "sets `rebalancing`"),
    Pin("faust.app.base:App.on_rebalance_end", "b7ff69e1e3772f30", "clears `rebalancing`"),
    Pin("faust.app.base:App._fetcher", "2ee3393e3555711e", "started at the end of the recovery"),
    Pin("faust.types.tuples:ConsumerMessage", "5edc45d571eb42a2", "base of Run, made by position"),
    Pin(
        "mode.services:Service.wait_first",
        "feade6a31f8a6789",
        "cancels the loser: a takeover interrupted by a rebalance is undone",
    ),
    Pin(
        "aiokafka.consumer.consumer:AIOKafkaConsumer.__init__",
        "01506f316191f7c9",
        "the attributes that are changed: waits, bytes, isolation",
    ),
    Pin("aiokafka.consumer.consumer:AIOKafkaConsumer.start", "2f1ba70443327538", "reads those attributes"),
    Pin(
        "aiokafka.consumer.consumer:AIOKafkaConsumer.position",
        "2512259a90a2ebd7",
        "positions are joined by the gap guard",
    ),
    Pin(
        "aiokafka.consumer.fetcher:Fetcher.fetched_records",
        "be4348896b9b66af",
        "an empty set of partitions means all of them",
    ),
    Pin(
        "aiokafka.consumer.fetcher:PartitionRecords",
        "94aa0da0dbec8d1b",
        "positions step over aborted records and markers; _consumer_record is replaced before the first is unpacked",
    ),
    Pin(
        "aiokafka.consumer.fetcher:Fetcher._proc_fetch_request",
        "59bf948fff47eed5",
        "files each FetchResult in _records",
    ),
    Pin(
        "aiokafka.consumer.fetcher:FetchResult",
        "d7db13f06de8248c",
        "holds _partition_records, which is unpacked when asked for",
    ),
    Pin(
        "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.on_start",
        "38b4e8bd1e10723a",
        "overridden: the consumer is started when it returns",
    ),
    Pin(
        "aiokafka.producer.producer:AIOKafkaProducer.send_batch", "bf42b0f0c5c0646d", "its future tells a refused batch"
    ),
    Pin(
        "aiokafka.producer.transaction_manager:TransactionManager",
        "d0932794d69a6780",
        "the states of a transaction; a refused batch does not end it",
    ),
    Pin("aiokafka.client:AIOKafkaClient.send", "246b277687d7b687", "called with a request of our own"),
    Pin("aiokafka.client:AIOKafkaClient.get_random_node", "0e2daf38b78e99a7", "called"),
    Pin(
        "aiokafka.client:AIOKafkaClient.force_metadata_update",
        "cb7befef21c8f3f9",
        "the gateway has it pause after it was in vain",
    ),
    Pin(
        "aiokafka.producer.producer:AIOKafkaProducer.stop",
        "43ef97147111893b",
        "the gateway does what is left of it when it takes too long",
    ),
    Pin("aiokafka.producer.sender:Sender.close", "f60b3d023d2526f4", "called for that"),
    Pin(
        "aiokafka.protocol.api:Request",
        "1dc66f0574be1673",
        "base of the identity request: versions are negotiated by it",
    ),
    Pin("aiokafka.protocol.api:RequestStruct", "0c94b7d190186c2a", "base of the identity request: flexible headers"),
)


def find(where: str) -> Any:
    """What `module:Class.attribute` names; a property's getter."""
    module, _, path = where.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    inner = (getattr(found, name, None) for name in ("fget", "fun", "_cached_property__get"))
    return next((function for function in inner if callable(function)), found)


def fingerprint(target: Any) -> str:
    """A hash of its source."""
    gc.disable()  # CPython 3.11: a collection while a tree is built ends it with "recursion depth mismatch"
    try:
        return hashlib.sha256(inspect.getsource(target).encode()).hexdigest()[:16]
    finally:
        gc.enable()


@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin.where)
def test_what_the_lane_relies_on_is_as_it_was_read(pin: Pin) -> None:
    """The source of each internal that the lane overrides, calls or reads has not changed."""
    try:
        target = find(pin.where)
    except AttributeError:
        pytest.fail(f"{pin.where} is gone; the lane relies on it: {pin.why}")
    assert fingerprint(target) == pin.fingerprint, (
        f"{pin.where} changed; the lane relies on it: {pin.why}. Read it, run the fault tests, put the new fingerprint"
    )


def test_the_libraries_are_the_ones_that_were_read() -> None:
    """The exact versions whose internals are pinned here are installed."""
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"
