"""The gateway's composition root: its parts from a configuration, its checks at start, its graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
import uvloop
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from gateway import facts, sources
from gateway.appender import Appender, KafkaAppender, Unavailable
from gateway.connection import ASGI, Limits
from gateway.ingest import PATHS, Ingest
from gateway.known import NoReadSide, ReadSide, RedisReadSide
from gateway.listener import BACKLOG, Listener
from gateway.metrics import Metrics
from gateway.pages import BrowserBuild, Pages
from gateway.request import Receive, Scope, Send
from gateway.stamp import Stamper
from schemas.topics import physical, topic
from schemas.wire import Undecodable
from serving import server
from serving.server import StartError
from streams import vocabulary
from streams.identity import fingerprint

log = structlog.get_logger()

_TOPICS = ("lead.events", "desk.events", "engagement.rejected")
_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """What one gateway needs to know; read from the environment by the command line, by nobody else."""

    bootstrap: str
    """Kafka's bootstrap servers."""
    partitions: int
    """Of lead.events and of the dead letter topic."""
    id_secret: bytes
    """The key of lead ids, 1 to 64 bytes."""
    sources_text: str
    """rules/sources.toml."""
    vocabulary_text: str
    """rules/vocabulary.toml."""
    browser_build: Path
    """Segment's dist/umd/standalone.js."""
    prefix: str = ""
    """Of topic names and of the read side's keys."""
    redis: str = ""
    """URL of the read side, which knows owners and scores of those who raise a hand; without one nobody is known."""
    host: str = "127.0.0.1"
    port: int = 8080
    """0 for any free one."""
    rules_folder: str = "rules"
    """Where the two texts come from, for messages."""
    buffer_bytes: int = 64 * 1024 * 1024
    """Bound on bodies in work, and on records that Kafka has not confirmed; beyond it 503."""
    patience_s: float = 8.0
    """How long a request waits for Kafka; SDKs wait 10 to 15 s for the answer."""
    connect_s: float = 30.0
    """How long to try to reach Kafka at the start."""
    drain_s: float = 0.0
    """How long to serve on, without being ready, when told to end."""
    limits: Limits = field(default_factory=Limits)


class Gateway:
    """The ASGI application: ingest paths go straight to Ingest, the rest to Starlette."""

    def __init__(self, ingest: Ingest, pages: ASGI) -> None:
        self._ingest, self._pages = ingest, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] in PATHS:
            await self._ingest(scope, receive, send)
        else:
            await self._pages(scope, receive, send)


def make_app(
    config: GatewayConfig,
    appender: Appender,
    metrics: Metrics | None = None,
    now: Callable[[], int] | None = None,
    read_side: ReadSide | None = None,
    stop: asyncio.Event | None = None,
) -> Gateway:
    """The application over an appender that somebody else starts and closes; not ready once `stop` is set.

    Raises RuleError for a broken rules file and ValueError for an impossible id key.
    """
    metrics = metrics or Metrics()
    known = sources.load(f"{config.rules_folder}/sources.toml", config.sources_text)
    words = vocabulary.load(f"{config.rules_folder}/vocabulary.toml", config.vocabulary_text)
    stamper = Stamper(words, config.id_secret, config.partitions)
    ingest = Ingest(
        known,
        stamper,
        appender,
        read_side or NoReadSide(),
        metrics,
        _rejected_partitions(config),
        config.buffer_bytes,
        now or _wall_clock_ms,
    )
    pages = Pages(known, appender, metrics, BrowserBuild(config.browser_build), stop or asyncio.Event())
    return Gateway(ingest, pages.app())


async def serve(
    config: GatewayConfig, stop: asyncio.Event | None = None, started: server.Started | None = None
) -> None:
    """Serve until `stop` is set, or SIGTERM or SIGINT come if there is none; then finish what is in flight.

    `started` is called with host and port when the port is open.  Raises StartError or RuleError, before any request
    is taken, when the gateway could not keep its promise: no Kafka, no topic, another partition count or id key.
    """
    metrics, ending = Metrics(), stop or asyncio.Event()
    names = {name: physical(name, config.prefix) for name in _TOPICS}
    appender = KafkaAppender(
        config.bootstrap, names, metrics, buffer_bytes=config.buffer_bytes, patience_s=config.patience_s
    )
    metrics.buffer_bytes.set_function(appender.buffered_bytes)
    read_side = RedisReadSide(config.redis, config.prefix, metrics) if config.redis else None
    app = make_app(config, appender, metrics, read_side=read_side, stop=ending)
    server.tune_collector()
    await check_topics(config)
    await check_id_key(config)
    try:
        await appender.start()
    except Unavailable as why:
        where = f"HANDRAISE_KAFKA={config.bootstrap}"
        raise StartError(str(why), where, "start Kafka (`make up`), or correct the address") from why
    if read_side is not None:
        await read_side.start()
    with contextlib.nullcontext() if stop else server.stopped_by_signals(ending):
        try:
            with server.listen(config.host, config.port, "HANDRAISE_GATEWAY") as listening:
                listening.listen(BACKLOG)
                if started is not None:
                    started(*listening.getsockname()[:2])
                await Listener(app, config.limits, metrics).serve(listening, ending, config.drain_s)
        finally:
            await appender.close()
            if read_side is not None:
                await read_side.close()


def run(config: GatewayConfig, started: server.Started | None = None) -> None:
    """`serve` in an event loop of its own, uvloop's: a process that is a gateway and nothing else."""
    uvloop.run(serve(config, started=started))


async def check_topics(config: GatewayConfig) -> None:
    """Raise StartError unless every topic that the gateway writes is there, with the configured partitions."""
    expected = {
        "lead.events": config.partitions,
        "desk.events": 1,
        "engagement.rejected": _rejected_partitions(config),
        facts.TOPIC: None,  # its first partition is all that is used
    }
    found = await _partition_counts(config, [physical(name, config.prefix) for name in expected])
    for name, wanted in expected.items():
        there = found.get(physical(name, config.prefix))
        where = f"topic {physical(name, config.prefix)} on {config.bootstrap}"
        if there is None:
            raise StartError("the topic does not exist", where, "run `handraise topics create`")
        if wanted is not None and there != wanted:
            raise StartError(
                f"the topic has {there} partitions, and {wanted} are configured; leads would change their partition",
                where,
                f"set HANDRAISE_PARTITIONS={there}, and see `handraise topics check`",
            )


async def check_id_key(config: GatewayConfig) -> None:
    """Raise StartError if the deployment's lead ids are made with another key; lay ours down if it has none yet."""
    ours = fingerprint(config.id_secret)
    where = f"topic {physical(facts.TOPIC, config.prefix)} on {config.bootstrap}"
    try:
        theirs = await facts.lay_down(config.bootstrap, config.prefix, facts.ID_KEY, ours, config.connect_s)
    except (KafkaError, OSError) as error:
        raise _no_kafka(config, error) from error
    except Undecodable as error:
        what = f"the deployment's id key is not told in words that this release knows: {error}"
        raise StartError(what, where, "run the release that wrote it, or a newer one") from error
    if theirs != ours:
        raise StartError(
            f"this is another id key than the deployment's (fingerprint {ours}, not {theirs}): "
            "everybody would become a new lead",
            where,
            "set HANDRAISE_SECRETS to a copy of the first gateway's secrets file, "
            "or begin anew under another HANDRAISE_PREFIX",
        )


def _no_kafka(config: GatewayConfig, error: BaseException) -> StartError:
    what = f"Kafka does not answer: {error or type(error).__name__}"
    return StartError(what, f"HANDRAISE_KAFKA={config.bootstrap}", "start Kafka (`make up`), or correct the address")


async def _partition_counts(config: GatewayConfig, names: list[str]) -> dict[str, int]:
    deadline = time.monotonic() + config.connect_s
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=config.bootstrap, client_id="handraise-gateway-check")
        try:
            await admin.start()
            described = await admin.describe_topics(names)
            return {each["topic"]: len(each["partitions"]) for each in described if not each["error_code"]}
        except (KafkaError, OSError) as error:
            if time.monotonic() > deadline:
                raise _no_kafka(config, error) from error
            log.warning("Kafka does not answer yet", kafka=config.bootstrap, error=repr(error))
        finally:
            await admin.close()
        await asyncio.sleep(_RETRY_S)


def _rejected_partitions(config: GatewayConfig) -> int:
    count = topic("engagement.rejected").partitions
    return config.partitions if count == "P" else count


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000
