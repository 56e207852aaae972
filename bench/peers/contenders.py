"""Who takes part in the simple job, how each is started, and how its results are read."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agents.lane.cursor import CURSOR_KEY
from bench.peers import environments
from bench.peers.job import Task

Score = Callable[[bytes], float]


@dataclass(frozen=True)
class Contender:
    """One way to do the simple job."""

    name: str
    """As arguments, files and figures have it."""
    title: str
    command: Callable[[], list[str]]
    """What runs it, before the task's arguments; raises environments.Unavailable."""
    format: str
    """Of the events: Avro or JSON."""
    guarantee: str
    """What its states and alerts are worth after a crash, as it was run."""
    state: str
    """Where its states live, and what becomes of them."""
    tuned: str = ""
    """What was set for speed, beside its defaults."""
    size: str = "middle"
    """Which of the streams it gets: large, middle, small."""
    own: tuple[str, ...] = ()
    """Arguments of its own."""
    states: Callable[[Task], str] = lambda task: task.states
    """The topic its states are found on."""
    lead: Callable[[bytes], bytes] = lambda key: key
    """The lead of such a record by its key; empty: none, it is the contender's own."""
    score: Score = lambda value: float(json.loads(value)["score"])
    """The score in a record of that topic."""
    alerts: Callable[[list[bytes]], int] = len
    """How many alerts one lead's records on the topic of alerts stand for."""
    settle_s: float = 0.6
    """All is out when its topics have not grown for so long."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def full_title(self) -> str:
        """The title that no other has: with the format, and what is guaranteed."""
        return f"{self.title}, {self.format}, {self.guarantee}"


def _python(module: str, environment: str) -> Callable[[], list[str]]:
    return lambda: [environments.python(environment), "-m", f"bench.peers.{module}"]


def _ours() -> list[str]:
    return [sys.executable, "-m", "bench.peers.ours"]


def _streams() -> list[str]:
    return [*environments.java(), "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "Scores"]


def _packed_score(value: bytes) -> float:
    from bench.peers.ours import STATE

    return float(STATE.unpack(value)[0])


ONCE, AT_LEAST_ONCE = "exactly once", "at least once"
_STORE = "in memory, cached; changelog"


def _kafka_streams(format_: str, guarantee: str) -> Contender:
    once = guarantee == ONCE
    return Contender(
        f"kafka_streams_{format_.lower()}_{'once' if once else 'at_least_once'}",
        "Kafka Streams 4.1",
        _streams,
        format_,
        guarantee,
        _STORE,
        tuned="store in memory; batches of 256 KiB; polls of 4,000"
        + ("" if once else "; commit interval 1 s (30 s by default)"),
        size="large",
        own=(
            format_.lower(),
            f"processing.guarantee={'exactly_once_v2' if once else 'at_least_once'}",
            *(() if once else ("commit.interval.ms=1000",)),
            "producer.batch.size=262144",
            "max.poll.records=4000",
        ),
        states=lambda task: f"{task.group}-leads-changelog",
        score=_packed_score if format_ == "Avro" else Contender.score,
        settle_s=0.6 if once else 1.6,
    )


def _quix(guarantee: str) -> Contender:
    return Contender(
        f"quix_{guarantee.replace(' ', '_')}",
        "Quix Streams",
        _python("quix_app", "quix"),
        "JSON",
        guarantee,
        "RocksDB; changelog",
        tuned="commit interval 1 s (5 s by default)",
        own=(guarantee.replace(" ", "-"), "1.0"),
        states=lambda task: f"changelog__{task.group}--{task.events}--default",
        lead=lambda key: key.partition(b"|")[0],
        settle_s=1.6,
    )


OURS = Contender(
    "handraise",
    "Handraise's lane",
    _ours,
    "Avro",
    ONCE,
    "in memory; changelog",
    size="large",
    lead=lambda key: b"" if key == CURSOR_KEY else key,
    score=_packed_score,
)
CONTENDERS = (
    OURS,
    *(_kafka_streams(format_, guarantee) for format_ in ("Avro", "JSON") for guarantee in (ONCE, AT_LEAST_ONCE)),
    Contender(
        "aiokafka",
        "aiokafka loop",
        _python("aiokafka_loop", "aiokafka"),
        "JSON",
        AT_LEAST_ONCE,
        "a dict; published, not read again",
        tuned="a state once a fetch; linger 5 ms; batches of 256 KiB",
    ),
    Contender(
        "pathway",
        "Pathway",
        _python("pathway_table", "pathway"),
        "JSON",
        "none without persistence",
        "in memory; changes published",
        alerts=lambda values: max(json.loads(value)["alerts"] for value in values),
    ),
    _quix(AT_LEAST_ONCE),
    _quix(ONCE),
    Contender(
        "bytewax",
        "Bytewax",
        _python("bytewax_flow", "bytewax"),
        "JSON",
        AT_LEAST_ONCE,
        "in memory; snapshots in SQLite, changes published",
    ),
    Contender(
        "faststream",
        "FastStream",
        _python("faststream_app", "faststream"),
        "JSON",
        "none, acknowledged on receipt",
        "a dict; published, not read again",
        tuned="linger 5 ms; publishing does not wait",
    ),
    Contender(
        "faust",
        "Faust agent",
        _python("faust_agent", "faust"),
        "JSON",
        AT_LEAST_ONCE,
        "a table in memory; changelog",
        tuned="store in memory",
        size="small",
        states=lambda task: f"{task.group}-leads-changelog",
        settle_s=1.0,
    ),
)

_BY_NAME = {each.name: each for each in CONTENDERS}
_STREAMS = _BY_NAME["kafka_streams_avro_once"]
PROMPT = (
    OURS,
    dataclasses.replace(
        _STREAMS, name="kafka_streams_default", title=f"{_STREAMS.title}, as it comes", own=_STREAMS.own[:2], tuned=""
    ),
    dataclasses.replace(
        _STREAMS,
        name="kafka_streams_prompt",
        title=f"{_STREAMS.title}, tuned for latency",
        own=(*_STREAMS.own[:2], "commit.interval.ms=20", "producer.linger.ms=0"),
        tuned="commit interval 20 ms (100 by default), linger 0 (100)",
    ),
    _BY_NAME["aiokafka"],
    _BY_NAME["faust"],
)
"""Who is also asked how soon an alert comes."""
