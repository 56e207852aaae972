"""Topics on the cluster, from the topic table: create what is missing, find what differs.

All names here are physical (with the deployment's prefix) but those of the table.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from handraise.failure import CHECK_FAILED, Failure
from handraise.settings import Settings
from schemas.topics import TOPICS, Topic, physical

CREATE = "handraise topics create"
CHECK = "handraise topics check"
CREATE_PATIENCE_S = 30.0
REQUEST_PATIENCE_MS = 20_000
_POLL_S = 0.05
_SAFE_REPLICATION = 3
_SET_ON_TOPIC = 1
"""Kafka's source of a setting that was given to this very topic, and is not a default."""


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the cluster has it."""

    partitions: int
    replication: int
    config: Mapping[str, str]
    own: Mapping[str, str]
    """Of the settings, those given to this very topic."""


class Drift(NamedTuple):
    """One difference between the table and the cluster."""

    topic: str
    what: str
    remedy: str
    creatable: bool
    """True if `handraise topics create` mends it."""


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client; whatever Kafka refuses inside becomes a Failure."""
    client = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, client_id="handraise-admin", request_timeout_ms=REQUEST_PATIENCE_MS
    )
    try:
        await client.start()
        yield client
    except (KafkaError, OSError, TimeoutError) as error:
        raise unreachable(bootstrap, error) from error
    finally:
        await client.close()


def unreachable(bootstrap: str, error: BaseException) -> Failure:
    """The failure to talk to Kafka."""
    return Failure(
        f"Kafka does not answer: {error or type(error).__name__}",
        f"HANDRAISE_KAFKA={bootstrap}",
        "start Kafka (`make up`), or correct the address",
    )


def partitions_of(topic: Topic, settings: Settings) -> int:
    """How many partitions the topic has in this deployment."""
    return settings.partitions if topic.partitions == "P" else topic.partitions


def wanted_config(topic: Topic, replication: int) -> dict[str, str]:
    """The topic's settings by Kafka's names.

    What was acknowledged survives the loss of a broker: with three replicas or more two must have a record first, and
    one that lacks it never becomes the leader.
    """
    config = {"cleanup.policy": topic.cleanup, "unclean.leader.election.enable": "false", **topic.config}
    if replication >= _SAFE_REPLICATION:
        config["min.insync.replicas"] = "2"
    if topic.retention_ms is not None:
        config["retention.ms"] = str(topic.retention_ms)
    return config


async def find(client: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, Found]:
    """Those of the topics that exist."""
    described = {each["topic"]: each for each in await client.describe_topics(list(names)) if not each["error_code"]}
    if not described:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in described]
    configs: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for response in await client.describe_configs(resources):
        for error_code, message, _, name, entries in response.resources:
            if error_code:
                raise for_code(error_code)(message)
            effective, own = {}, {}
            for entry in entries:
                setting, value, _, source = entry[0], entry[1] or "", entry[2], entry[3]
                effective[setting] = value
                if source == _SET_ON_TOPIC:
                    own[setting] = value
            configs[name] = effective, own
    return {
        name: Found(len(each["partitions"]), _replicas(each), *configs[name])
        for name, each in described.items()
        if name in configs
    }


def _replicas(described: Mapping[str, Any]) -> int:
    return min((len(partition["replicas"]) for partition in described["partitions"]), default=0)


def drift(settings: Settings, found: Mapping[str, Found]) -> list[Drift]:
    """What differs between the table and the cluster, in the table's order."""
    differences = []
    for topic in TOPICS:
        name, wanted = physical(topic.name, settings.prefix), partitions_of(topic, settings)
        there = found.get(name)
        if there is None:
            differences.append(Drift(name, "the topic is missing", f"run `{CREATE}`", True))
            continue
        if there.partitions != wanted:
            differences.append(
                Drift(
                    name,
                    f"it has {there.partitions} partitions, {wanted} are configured",
                    _recount(topic, there.partitions),
                    False,
                )
            )
        for setting, value in wanted_config(topic, settings.replication).items():
            if (given := there.config.get(setting, "")) != value:
                differences.append(
                    Drift(name, f"{setting} is {given or 'not set'}, not {value}", f"run `{CREATE}`", True)
                )
    return differences


def _recount(topic: Topic, partitions: int) -> str:
    """What mends another partition count without losing anything: Kafka takes no partition away."""
    if topic.partitions == "P":
        return (
            f"set HANDRAISE_PARTITIONS={partitions}, the count that its leads were placed with; "
            f"for another count begin anew under another HANDRAISE_PREFIX with `{CREATE}`"
        )
    if topic.name == "deployment.facts":
        return (
            f"stop the gateways, delete the topic, run `{CREATE}`, and start them with the id key that they had: "
            "they lay their fact down again"
        )
    return (
        f"if nothing stands in it yet, delete it and run `{CREATE}`: nothing writes to it before; if partitions "
        "were added later, all its facts are in partition 0 and stay readable there, but it cannot be used any more: "
        f"begin anew under another HANDRAISE_PREFIX with `{CREATE}`"
    )


def failures(drifts: Collection[Drift], bootstrap: str) -> list[Failure]:
    """The differences as people read them: one for each kind, with all its topics."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for each in drifts:
        kinds.setdefault((each.what, each.remedy), []).append(each.topic)
    return [
        Failure(what, f"{', '.join(names)} on {bootstrap}", remedy, CHECK_FAILED)
        for (what, remedy), names in kinds.items()
    ]


async def check(settings: Settings) -> list[Drift]:
    """What differs between the table and the cluster."""
    async with admin(settings.kafka) as client:
        return drift(settings, await find(client, _names(settings)))


async def create(settings: Settings) -> list[str]:
    """Create what is missing and set right what was set otherwise; what was done, in words.

    Returns when every topic can be written.  Other settings that somebody gave to a topic stay.  A partition count
    that differs is a Failure, before anything is changed.
    """
    async with admin(settings.kafka) as client:
        found = await find(client, _names(settings))
        for each in drift(settings, found):
            if not each.creatable:
                raise Failure(each.what, f"topic {each.topic} on {settings.kafka}", each.remedy)
        missing = [topic for topic in TOPICS if physical(topic.name, settings.prefix) not in found]
        await _create(client, settings, missing)
        done = [f"created {physical(topic.name, settings.prefix)}" for topic in missing]
        done += await _set_right(client, settings, found)
        await _await_effect(client, settings)
    return done


async def _create(client: AIOKafkaAdminClient, settings: Settings, missing: Collection[Topic]) -> None:
    if not missing:
        return
    new = [
        NewTopic(
            physical(topic.name, settings.prefix),
            partitions_of(topic, settings),
            settings.replication,
            topic_configs=wanted_config(topic, settings.replication),
        )
        for topic in missing
    ]
    response = await client.create_topics(new, timeout_ms=int(CREATE_PATIENCE_S * 1_000))
    for name, code, message in response.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:  # somebody else created it just now
            raise Failure(
                f"Kafka refused to create the topic: {message or for_code(code).description}",
                f"topic {name} on {settings.kafka}",
                "see what Kafka says; with fewer brokers than HANDRAISE_REPLICATION set that lower",
            )


async def _set_right(client: AIOKafkaAdminClient, settings: Settings, found: Mapping[str, Found]) -> list[str]:
    """Kafka replaces all settings of a topic at once, so those that are not ours are sent along."""
    done, resources = [], []
    for topic in TOPICS:
        name = physical(topic.name, settings.prefix)
        there = found.get(name)
        wrong = {} if there is None else _wrong(topic, settings.replication, there)
        if there is not None and wrong:
            resources.append(ConfigResource(ConfigResourceType.TOPIC, name, {**there.own, **wrong}))
            done += [f"set {setting}={value} on {name}" for setting, value in wrong.items()]
    if resources:
        for response in await client.alter_configs(resources):
            for code, message, _, name in response.resources:
                if code:
                    raise Failure(
                        f"Kafka refused the settings: {message}",
                        f"topic {name} on {settings.kafka}",
                        "see what Kafka says",
                    )
    return done


def _wrong(topic: Topic, replication: int, there: Found) -> dict[str, str]:
    wanted = wanted_config(topic, replication)
    return {name: value for name, value in wanted.items() if there.config.get(name) != value}


async def _await_effect(client: AIOKafkaAdminClient, settings: Settings) -> None:
    """Wait until each partition has a leader and all settings hold: brokers follow the controller a moment later."""
    deadline = time.monotonic() + CREATE_PATIENCE_S
    while True:
        described = await client.describe_topics(_names(settings))
        waiting = [
            each["topic"]
            for each in described
            if each["error_code"] or any(part["leader"] < 0 or part["error_code"] for part in each["partitions"])
        ]
        waiting = waiting or [each.topic for each in drift(settings, await find(client, _names(settings)))]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise Failure(
                f"topics are not ready after {CREATE_PATIENCE_S:g} s: {', '.join(waiting)}",
                settings.kafka,
                f"see that all brokers run, then `{CREATE}` again",
                CHECK_FAILED,
            )
        await asyncio.sleep(_POLL_S)


async def require(settings: Settings) -> None:
    """Refuse to start on topics that are missing or have another partition count.  Raises Failure.

    Settings that drifted do not stop a start: nothing is lost by them, and `handraise topics check` tells.
    """
    found: dict[str, Found] = {}
    async with admin(settings.kafka) as client:
        found = await find(client, _names(settings))
    for topic in TOPICS:
        name = physical(topic.name, settings.prefix)
        there, wanted = found.get(name), partitions_of(topic, settings)
        if there is None:
            raise Failure("a topic is missing", f"topic {name} on {settings.kafka}", f"run `{CREATE}`")
        if there.partitions != wanted:
            difference = next(each for each in drift(settings, found) if each.topic == name and not each.creatable)
            raise Failure(difference.what, f"topic {name} on {settings.kafka}", f"{difference.remedy}; see `{CHECK}`")


def _names(settings: Settings) -> list[str]:
    return [physical(topic.name, settings.prefix) for topic in TOPICS]
