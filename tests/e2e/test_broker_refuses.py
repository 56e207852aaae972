"""A broker that does not take what it is given, too large or on a full disk: it is said, waited for, and gone on."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from deploy.local import Kafka
from tests.e2e.books import audit
from tests.e2e.deployment import Deployment, Supervisor, until
from tests.e2e.flow import Flow
from tests.e2e.tally import Tally

TOO_SMALL, DEFAULT = 120, 1_048_588
"""Bytes that a batch may have: fewer than any has, and what Kafka takes by itself."""


def take_at_most(place: Deployment, topic: str, size: int) -> None:
    """Set the size of batches that the broker takes for a topic."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    wanted = ConfigResource(ResourceType.TOPIC, place.topic(topic), incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": place.kafka})
    for done in admin.incremental_alter_configs([wanted]).values():
        done.result(20)


def post(url: str, number: int, **more: Any) -> httpx.Response:
    """Post an event as a tracker does."""
    event = {"messageId": f"m-{number}", "userId": f"user-{number}", "event": "Document Downloaded", **more}
    return httpx.post(f"{url}/v1/track", content=json.dumps(event), auth=httpx.BasicAuth("demo", ""), timeout=30)


@pytest.mark.chaos_long
def test_a_refused_batch_ends_the_worker_in_words_and_is_made_good_when_the_topic_is_mended(
    deploy: Callable[..., Deployment],
) -> None:
    """No part of a refused transaction is seen; the worker says which topic; mended, all is scored once."""
    place = deploy(2)
    place.create_topics()
    worker, gateway = Supervisor(place, place.worker), place.gateway().await_ready()
    worker.child.await_ready()
    take_at_most(place, "lead.transitions", TOO_SMALL)
    failing = worker.child
    for number in range(20):  # who signs in becomes an inquiry: a transition for each
        assert post(gateway.url(), number).status_code == 200
    assert failing.ended() == 1
    assert f"{place.topic('lead.transitions')}/" in failing.log()
    assert "did not take a batch: " in failing.log()
    until(lambda: worker.restarts >= 2, "the next worker to meet the same")
    with Tally(place) as tally:
        assert tally.scored().total() == 0
        take_at_most(place, "lead.transitions", DEFAULT)
        until(lambda: tally.scored().total() == 20, "all events to be scored")
    worker.stop()
    gateway.stop()
    audit(place)


@pytest.mark.chaos_long
def test_a_full_disk_stops_all_and_loses_nothing(
    own_kafka: Callable[..., Kafka], deploy: Callable[..., Deployment]
) -> None:
    """The broker's files cannot grow: it ends, trackers are told 503; with room again everything goes on, once."""
    broker = own_kafka()
    flow = Flow(deploy(kafka=broker.bootstrap))
    assert broker.pid is not None
    # As on a full disk, each write fails from now on, in the middle of whatever is being written.
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    flow.until_refused()
    until(lambda: broker.pid is None, "the broker to give up its only disk")
    until(lambda: not flow.worker.ready(), "the worker to say that it cannot work")
    broker.start()
    flow.until_more(400)
    flow.close()
