"""Commands on real Kafka: topics, refusals, and the demo with what it leaves behind."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from handraise.settings import ROOT
from handraise.topics import admin, find
from schemas.topics import TOPICS
from tests.handraise.conftest import Command


@pytest.fixture
def there(kafka: str, prefix: str) -> dict[str, str]:
    """The environment of a deployment of this test's own."""
    return {"HANDRAISE_KAFKA": kafka, "HANDRAISE_PREFIX": prefix, "HANDRAISE_PARTITIONS": "2"}


def alter(kafka: str, topic: str, config: dict[str, str]) -> None:
    """Set a topic's settings as an operator would."""

    async def do() -> None:
        async with admin(kafka) as client:
            await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
            while (await find(client, [topic]))[topic].own != config:  # the brokers follow a moment later
                pass

    asyncio.run(do())


def own_settings(kafka: str, topic: str) -> Mapping[str, str]:
    """The settings that were given to this very topic."""

    async def do() -> Mapping[str, str]:
        async with admin(kafka) as client:
            return (await find(client, [topic]))[topic].own

    return asyncio.run(do())


def make(kafka: str, topic: str, partitions: int) -> None:
    """Create a topic as somebody else would."""

    async def do() -> None:
        async with admin(kafka) as client:
            await client.create_topics([NewTopic(topic, partitions, 1)])
            while topic not in await find(client, [topic]):  # the brokers follow a moment later
                pass

    asyncio.run(do())


def test_topics_are_created_once_and_then_as_they_should_be(handraise: Command, there: dict[str, str]) -> None:
    """`create` makes all topics, a second time nothing; `check` fails before and passes after."""
    before = handraise("topics", "check", "--json", **there)
    assert before.code == 1
    assert len(json.loads(before.out)["differences"]) == len(TOPICS)
    assert len(json.loads(handraise("topics", "create", "--json").out)["done"]) == len(TOPICS)
    assert json.loads(handraise("topics", "create", "--json").out)["done"] == []
    after = handraise("topics", "check")
    assert (after.code, after.err) == (0, "")


def test_a_setting_that_drifted_is_found_and_mended(handraise: Command, there: dict[str, str]) -> None:
    """`check` names the topic, the setting and the command; `create` mends it and leaves other settings alone."""
    handraise("topics", "create", **there)
    topic = there["HANDRAISE_PREFIX"] + "lead.alerts"
    alter(there["HANDRAISE_KAFKA"], topic, {"retention.ms": "1000", "max.message.bytes": "2000000"})
    answer = handraise("topics", "check")
    assert answer.code == 1
    assert topic in answer.err and "retention.ms is 1000" in answer.err and "handraise topics create" in answer.err
    assert json.loads(handraise("topics", "create", "--json").out)["done"] == [
        f"set retention.ms=2592000000 on {topic}"
    ]
    assert handraise("topics", "check").code == 0
    assert own_settings(there["HANDRAISE_KAFKA"], topic)["max.message.bytes"] == "2000000"


def test_where_brokers_replicate_two_must_have_a_record(handraise: Command, there: dict[str, str]) -> None:
    """With three replicas, a topic where one alone may acknowledge is a drift, and told as one."""
    handraise("topics", "create", **there)
    answer = handraise("topics", "check", HANDRAISE_REPLICATION="3")
    assert answer.code == 1
    assert "min.insync.replicas is 1, not 2" in answer.err


def test_another_partition_count_is_never_touched(handraise: Command, there: dict[str, str]) -> None:
    """A count that differs is told by `check`, refused by `create`, and nothing else is created beside it."""
    make(there["HANDRAISE_KAFKA"], there["HANDRAISE_PREFIX"] + "lead.state", 3)
    assert "it has 3 partitions, 2 are configured" in handraise("topics", "check", **there).err
    refused = handraise("topics", "create")
    assert refused.code == 2
    assert "HANDRAISE_PARTITIONS=3" in refused.err
    missing = [each["what"] for each in json.loads(handraise("topics", "check", "--json").out)["differences"]]
    assert missing.count("the topic is missing") == len(TOPICS) - 1


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("deployment.facts", "they lay their fact down again"),
        ("desk.events", "delete it and run `handraise topics create`"),
    ],
)
def test_a_topic_that_always_has_one_partition(
    handraise: Command, there: dict[str, str], name: str, remedy: str
) -> None:
    """Its count is nobody's choice: what is said mends it, and is not to configure another one."""
    make(there["HANDRAISE_KAFKA"], there["HANDRAISE_PREFIX"] + name, 3)
    refused = handraise("topics", "create", **there)
    assert refused.code == 2
    assert "it has 3 partitions, 1 are configured" in refused.err
    assert remedy in refused.err
    assert "HANDRAISE_PARTITIONS" not in refused.err


@pytest.mark.parametrize("words", [["worker", "leads"], ["worker", "all"], ["gateway"]])
def test_a_process_refuses_to_start_without_its_topics(
    handraise: Command, there: dict[str, str], words: list[str]
) -> None:
    """Without topics a process says which and the command that creates them; with another count, which count."""
    answer = handraise(*words, **there)
    assert answer.code == 2
    assert "lead.events" in answer.err and "handraise topics create" in answer.err
    handraise("topics", "create")
    answer = handraise(*words, HANDRAISE_PARTITIONS="3")
    assert answer.code == 2
    assert "2 partitions" in answer.err and "HANDRAISE_PARTITIONS=2" in answer.err


def test_a_lead_that_is_not_there_is_told(handraise: Command, there: dict[str, str]) -> None:
    """An unknown lead is exit code 1 with a remedy; without topics it is the topics that are missing."""
    assert "handraise topics create" in handraise("lead", "user:nobody", **there).err
    handraise("topics", "create")
    for command in ("lead", "explain"):
        answer = handraise(command, "email:nobody@company.example")
        assert (answer.code, answer.out) == (1, "")
        assert "there is no lead email:nobody@company.example" in answer.err
        assert "remedy" in answer.err


@dataclass
class Shown:
    """A demo that is over."""

    code: int
    out: str
    report: dict[str, object]
    environ: dict[str, str]


@pytest.fixture(scope="module")
def demo(kafka: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A demo of 40 visitors and 42 live seconds, as a user runs it: until Marta has signed in on both devices."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "secrets.toml").write_text('id_key = "YW5vdGhlciBrZXkgZm9yIHRlc3Rz"\n')
    prefix = f"t{folder.stat().st_ino}."
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HANDRAISE_")},
        "HANDRAISE_KAFKA": kafka,
        "HANDRAISE_REDIS": redis_url,
        "HANDRAISE_PREFIX": prefix,
        "HANDRAISE_SECRETS": str(folder / "secrets.toml"),
    }
    words = ["demo", "--for", "42", "--visitors", "40", "--seed", "7", "--report", str(folder / "r.json"), "--audit"]
    done = subprocess.run(
        [sys.executable, "-m", "handraise", *words], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ours = {name: value for name, value in environ.items() if name.startswith("HANDRAISE_")}
    ours["HANDRAISE_PREFIX"] = f"{prefix}demo-1."
    yield Shown(done.returncode, done.stdout, json.loads((folder / "r.json").read_text()), ours)


def test_the_demo_scores_all_it_sends(demo: Shown) -> None:
    """Every event comes out once: scored, filtered or rejected; Elif is among the hot ones, quickly, and with why."""
    report = demo.report
    assert report["lost"] == report["doubled"] == 0
    assert report["accepted"] == report["scored"] + report["quarantined"]  # type: ignore[operator]
    assert report["sent"] == report["accepted"] + report["rejected"]  # type: ignore[operator]
    assert report["alerts"]["hot_lead"] >= 1  # type: ignore[index]
    assert report["latency_ms"]["event_to_state"]["count"] > 50  # type: ignore[index]
    assert report["latency_ms"]["event_to_alert"]["p50"] > 0  # type: ignore[index]
    assert report["first_alert_s"] < 60  # type: ignore[operator]
    assert re.search(r"hot  Elif Demir, Kestrel Foods .*last Pricing · downloaded Cold-chain audit", demo.out)
    assert "after the visit, not now" in demo.out
    assert "lost 0, doubled 0" in demo.out


def test_the_demo_shows_who_answers(demo: Shown) -> None:
    """Jonas asks, score 2: Ben has it within a minute's deadline, Ceyda's leave is said; the audit is in the report."""
    assert re.search(
        r"hand Jonas Vik, Brightwater Pharma, score 2: “Call me before Thursday's audit”, \d+ ms", demo.out
    )
    assert re.search(r"assigned: Ben Holm [01]:\d\d left; rule nordics .*Ceyda Arslan \(is on leave\)", demo.out)
    assert "people work round the clock" in demo.out
    assert demo.report["audit"] == {"requests": 1, "final": 0, "open": 1, "lost": 0, "without_owner": 0}
    assert demo.report["assignments"] >= 2  # type: ignore[operator]
    for latency in ("contact_to_owner", "contact_to_screen"):
        assert demo.report["latency_ms"][latency]["count"] == 1  # type: ignore[index]


def test_the_demo_shows_one_person_on_two_devices(handraise: Command, demo: Shown) -> None:
    """Marta's telephone and laptop become one lead of all points; together they make her hot, and both are listed."""
    together = {"parts": [22.0, 27.0], "together": 49.0, "sent": 7, "counted": 7}
    assert demo.report["one_person"] == together
    assert "Marta Lind signs in on both: 22.0 + 27.0 points are one lead of 49.0; lost 0, doubled 0" in demo.out
    assert re.search(r"hot  Marta Lind, Northfjord Seafood  64.0 .*downloaded documents twice.*Pricing", demo.out)
    assert re.search(r"handraise( -m handraise)? lead user:marta-lind$", demo.out, re.MULTILINE)
    told = json.loads(handraise("lead", "user:marta-lind", "--json", **demo.environ).out)
    devices = [each["value"] for each in told["identifiers"] if each["kind"] == "anonymous"]
    assert len(devices) == 2
    rows = json.loads(handraise("explain", "user:marta-lind", "--json").out, parse_float=Decimal)["rows"]
    points = {device: sum(row["limited"] for row in rows if row["device"] == device) for device in devices}
    assert [points[device] for device in devices] == [22, 27 + 15]


def test_the_demo_names_the_command_that_explains(handraise: Command, demo: Shown) -> None:
    """The summary's explain command, as printed, finds the lead; its rows add up to the score exactly."""
    found = re.search(r"^  (HANDRAISE_.*) \S+( -m handraise)? explain (email:\S+)$", demo.out, re.MULTILINE)
    assert found is not None
    environ, email = found.group(1, 3)
    printed = dict(each.split("=", 1) for each in environ.split())
    answer = handraise("explain", email, "--json", HANDRAISE_SECRETS=demo.environ["HANDRAISE_SECRETS"], **printed)
    told = json.loads(answer.out, parse_float=Decimal)
    assert set(told) == {"score", "as_of", "model", "rows"}
    assert set(told["rows"][0]) == {"rule", "event_id", "at", "raw", "limited", "decayed", "device"}
    assert sum(row["decayed"] for row in told["rows"]) == told["score"] > 60


def test_a_hot_lead_is_shown_for_people_and_machines(handraise: Command, demo: Shown) -> None:
    """`lead` has the JSON that other programs rely on, and the same in words."""
    told = json.loads(handraise("lead", "email:Elif.Demir@Kestrel-Foods.example", "--json", **demo.environ).out)
    fields = ["id", "behaviour", "fit", "grade", "stage", "hot", "owner", "identifiers", "reasons"]
    assert list(told) == [*fields, "model", "moved_to", "duplicates"]
    assert (told["hot"], told["stage"], told["fit"], told["moved_to"]) == (True, "mql", None, None)
    assert told["owner"] in {"ana", "ben"}
    assert told["behaviour"] > 60
    assert told["reasons"][0]["rule"] == "intent_page"
    assert told["reasons"][0]["text"].endswith("twice, last Pricing")
    known, device = told["identifiers"]
    assert (device["kind"], device["value"][:2]) == ("anonymous", "a_")
    assert (known["kind"], known["value"], known["verified"]) == ("email", "elif.demir@kestrel-foods.example", False)
    words = handraise("lead", told["id"]).out
    assert "hot since" in words and "twice, last Pricing · downloaded Cold-chain audit" in words and "2 visits" in words


def test_a_ledger_adds_up_on_screen(handraise: Command, demo: Shown) -> None:
    """The last column of the table adds up to its total, and an earlier time shows an earlier ledger."""
    lines = handraise("explain", "email:elif.demir@kestrel-foods.example", **demo.environ).out.splitlines()
    assert sum("looked at Pricing" in line for line in lines) == 2  # each event with its own name
    numbers = [Decimal(line.split()[-1]) for line in lines if re.search(r"\d\.\d{3}$", line)]
    assert len(numbers) > 8
    assert sum(numbers[:-1]) == numbers[-1]
    whole = json.loads(handraise("explain", "email:elif.demir@kestrel-foods.example", "--json").out)
    first_day = whole["rows"][3]["at"]
    then = json.loads(handraise("explain", "email:elif.demir@kestrel-foods.example", "--at", first_day, "--json").out)
    assert then["as_of"] == first_day
    assert [row["rule"] for row in then["rows"]] == [row["rule"] for row in whole["rows"][:4]]
    assert then["rows"][3]["decayed"] == 20


def test_tail_shows_every_public_record(handraise: Command, demo: Shown) -> None:
    """`tail` decodes each record of the named topics, one line each, from the beginning and up to a count."""
    alerts = demo.report["alerts"]["hot_lead"]  # type: ignore[index]
    answer = handraise("tail", "lead.alerts", "--from-beginning", "--count", str(alerts), "--json", **demo.environ)
    told = [json.loads(line) for line in answer.out.splitlines()]
    assert len({each["value"]["alert_id"] for each in told}) == alerts
    assert {each["record"] for each in told} == {"LeadAlert"}
    words = handraise("tail", "lead.alerts", "--from-beginning", "--count", str(alerts)).out.splitlines()
    assert len(words) == alerts
    assert sum("elif.demir@kestrel-foods.example: " in line and "last Pricing" in line for line in words) == 1
    some = handraise("tail", "lead.transitions", "--from-beginning", "--uncommitted", "--count", "2", "--json").out
    assert [json.loads(line)["record"] for line in some.splitlines()] == ["LeadTransition"] * 2
    every = handraise("tail", "--from-beginning", "--count", "50").out.splitlines()
    assert len(every) == 50
