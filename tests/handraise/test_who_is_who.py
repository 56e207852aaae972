"""Who is who in the terminal: what commands say of leads that were linked, and wishes that cannot be fulfilled."""

import asyncio
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from agents.lane.cursor import CURSOR_KEY, encode_cursor
from gateway import facts
from handraise import wishes
from schemas.codec import encode
from schemas.records import DeploymentFact
from schemas.topics import physical
from streams.fold import Output
from streams.identity import fingerprint
from tests.handraise.conftest import Command
from tests.streams.harness import MONDAY
from tests.streams.network import Act, Network, Step, Wish, id_of

MARTA, OLD, BEN, EVE = (id_of(f"u:{name}") for name in ("marta", "marta-old", "ben", "eve"))
PHONE, LAPTOP = id_of("a:phone"), id_of("a:laptop")
Stands = Callable[..., None]


def left(network: Network) -> list[Output]:
    """What the network's folds remember and have said, as workers would have left it on topics."""
    said = []
    for partition, states in enumerate(network.changelogs):
        remembered = {**states, CURSOR_KEY: encode_cursor(0, "", network.partitions)}
        said += [Output("leads.changelog", partition, key, value, []) for key, value in remembered.items()]
        said += [it for it in network.outputs[partition] if it.topic == "lead.duplicates"]
        said += [Output("lead.events", partition, it.key, it.value, []) for it in network.logs[partition]]
    return said


async def write(kafka: str, prefix: str, records: list[Output]) -> None:
    """Append records to topics."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        for it in records:
            await producer.send(physical(it.topic, prefix), it.value, key=it.key, partition=it.partition)
    finally:
        await producer.stop()


@pytest.fixture
def stands(handraise: Command, kafka: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stands:
    """Make a deployment in which that has happened, and whose workers have gone: ``stands(Act(...), ...)``."""
    (tmp_path / "secrets.toml").write_text('id_key = "c2VjcmV0"\n')  # the key of `id_of`
    monkeypatch.setattr(wishes, "PATIENCE_S", 0.5)
    for name, value in {"KAFKA": kafka, "PREFIX": prefix, "PARTITIONS": "4"}.items():
        monkeypatch.setenv(f"HANDRAISE_{name}", value)
    assert handraise("topics", "create").code == 0

    def make(*story: Step) -> None:
        asyncio.run(write(kafka, prefix, left(Network().tell(*story))))

    return make


SECONDS = itertools.count(MONDAY)


def act(user: str = "", device: str = "", asset: str = "/", **more: str) -> Act:
    """A page view, or what is said; each a second after the one before."""
    return Act(next(SECONDS), asset=asset, user=user, device=device, **more)  # type: ignore[arg-type]


READS = (act(device="phone", asset="/pricing"), act(device="laptop", asset="/docs/start"))
SIGNS_IN = (act("marta", "phone", email="marta@c.example"), act("marta", "laptop", email="marta@c.example"))


def row(out: str, *parts: str) -> str:
    """The one line that has all the parts."""
    [found] = [line for line in out.splitlines() if all(part in line for part in parts)]
    return found


def test_a_person_is_shown_with_devices_and_identifiers(handraise: Command, stands: Stands) -> None:
    """Whichever identifier is asked for: the one lead, its devices with their times, its addresses, proved or not."""
    stands(*READS, *SIGNS_IN, act("marta", kind="email_click", email="marta@c.example", phone="+4520123456"))
    told = json.loads(handraise("lead", "anonymous:phone", "--json").out)
    assert (told["id"], told["moved_to"]) == (PHONE, MARTA)
    assert [(it["kind"], it["value"], it["verified"], it["status"]) for it in told["identifiers"]] == [
        ("user", "marta", False, "ours"),
        ("email", "marta@c.example", True, "ours"),
        ("phone", "+4520123456", False, "ours"),
        ("anonymous", PHONE, False, "ours"),
        ("anonymous", LAPTOP, False, "ours"),
    ]
    assert all(it["since"] for it in told["identifiers"])
    said = handraise("lead", "anonymous:phone").out
    assert "a part of this lead since" in row(said, "asked for", "anonymous:phone")
    assert "verified" in row(said, "email", "marta@c.example")
    assert "last" in row(said, "device 1", PHONE)
    assert "last" in row(said, "device 2", LAPTOP)
    for other in ("user:marta", "email:Marta@C.example", "anonymous:laptop", MARTA):
        assert f"lead id    {MARTA}" in handraise("lead", other).out


def test_each_point_tells_its_device(handraise: Command, stands: Stands) -> None:
    """`explain` names for each row the device on which it happened, by id for machines and by number for people."""
    stands(*READS, *SIGNS_IN, act("marta", asset="/security"))
    told = json.loads(handraise("explain", MARTA, "--json").out)
    rules = {(row["rule"], row["device"]) for row in told["rows"]}
    assert {("intent_page", PHONE), ("research_page", LAPTOP), ("page_view", PHONE), ("page_view", None)} <= rules
    said = handraise("explain", MARTA).out
    assert row(said, "looked at Pricing").split()[-4] == "1"
    assert row(said, "read Docs").split()[-4] == "2"
    assert row(said, "viewed a page: Security").split()[-4] == "–"
    assert f"device 2 is {LAPTOP}" in said


def test_what_is_lost_or_refused_is_said(handraise: Command, stands: Stands) -> None:
    """A device that went to somebody else, and an address that another one had first, stay listed with what became."""
    stands(*SIGNS_IN, act("ben", "phone"), act("ben", email="marta@c.example"))
    assert "lost: somebody else was seen with it after" in row(handraise("lead", MARTA).out, "device 1", PHONE)
    ben = handraise("lead", "user:ben").out
    assert "refused: another lead had it first" in row(ben, "email", "marta@c.example")
    assert f"May be the same person as {MARTA}: both gave the same e-mail address" in ben
    told = json.loads(handraise("lead", "user:ben", "--json").out)
    assert [it["status"] for it in told["identifiers"]] == ["ours", "refused", "ours"]
    assert [(it["id"], it["evidence"], it["status"]) for it in told["duplicates"]] == [
        (MARTA, "email_claimed", "suspected")
    ]


def test_a_merged_lead_says_how_to_undo_it(handraise: Command, stands: Stands) -> None:
    """Who was merged by a wish is listed with the command that undoes it."""
    weak, strong = sorted([MARTA, OLD], reverse=True)
    name = {MARTA: "marta", OLD: "marta-old"}
    stands(act("marta"), act("marta-old"), Wish(f"u:{name[weak]}", f"u:{name[strong]}"))
    said = handraise("lead", f"user:{name[weak]}").out
    assert f"lead id    {strong}" in said
    assert f"merged; to undo it: handraise lead unmerge {weak}" in row(said, "user", f"{name[weak]} ", "unmerge")


def test_a_device_that_is_nobodys_is_told(handraise: Command, stands: Stands) -> None:
    """A device with too many owners leads to no lead, and the remedy names where its events are."""
    stands(*(act(f"guest {n}", "kiosk") for n in range(20)))
    answer = handraise("lead", "anonymous:kiosk")
    assert answer.code == 1
    assert "anonymous:kiosk is nobody's" in answer.err and "engagement.quarantine" in answer.err


def test_wishes_that_cannot_be_fulfilled_are_told(handraise: Command, stands: Stands) -> None:
    """Unknown, already one, never merged, nothing suspected: what, where and the remedy, exit code 1, nothing sent."""
    stands(*READS, *SIGNS_IN, act("ben"))
    for words, what in (
        (("merge", "user:marta", "user:nobody"), "there is no lead user:nobody"),
        (("merge", "user:marta", "anonymous:phone"), "they are one lead already"),
        (("unmerge", "user:nobody"), "there is no lead user:nobody"),
        (("unmerge", "user:marta"), "user:marta was never merged"),
        (("unmerge", "anonymous:phone"), "anonymous:phone is linked to"),
        (("not-the-same", "user:marta", "user:ben"), "nothing suggests that they are one person"),
        (("not-the-same", "user:marta", MARTA), "they are one lead"),
    ):
        answer = handraise("lead", *words)
        assert (answer.code, answer.out) == (1, ""), words
        assert what in answer.err
        assert len(answer.err.splitlines()) == 3


def test_a_wish_without_a_worker_waits_in_the_inbox(handraise: Command, stands: Stands) -> None:
    """When no worker answers, the command says where the wish lies and that it is not to be said again."""
    stands(act("marta"), act("ben"))
    answer = handraise("lead", "merge", "user:marta", "user:ben")
    assert answer.code == 1
    assert "no worker has taken it within 0.5 s" in answer.err
    assert "lead.events, partition" in answer.err and "handraise worker leads" in answer.err


def test_another_id_key_is_refused(handraise: Command, stands: Stands, kafka: str, prefix: str) -> None:
    """Where the deployment has another key, an identifier would find nobody: that is said; a lead id needs no key."""
    stands(act("marta", "phone", email="marta@c.example"), act("ben"))
    fact = encode(DeploymentFact(facts.ID_KEY, fingerprint(b"another"), 0))
    asyncio.run(write(kafka, prefix, [Output(facts.TOPIC, 0, facts.ID_KEY.encode(), fact, [])]))
    for words in (("user:marta",), ("merge", MARTA, "user:ben"), ("unmerge", "user:marta")):
        answer = handraise("lead", *words)
        assert (answer.code, answer.out) == (2, "")
        assert "another id key" in answer.err and "HANDRAISE_SECRETS" in answer.err
    told = json.loads(handraise("lead", MARTA, "--json").out)
    assert [(it["value"], it["id"]) for it in told["identifiers"]] == [
        ("marta", None),
        ("marta@c.example", None),
        (PHONE, PHONE),
    ]


def test_lead_goes_on_as_it_was(handraise: Command) -> None:
    """`lead ID` needs no command, wherever the options stand; `--help` lists what else there is."""
    assert "is no lead id" in handraise("lead", "--json", "somebody").err
    assert "is no lead id" in handraise("lead", "somebody", "--json").err
    assert "is no lead id" in handraise("lead", "show", "somebody").err
    said = handraise("lead", "--help").out
    assert all(name in said for name in ("merge", "unmerge", "not-the-same", "show"))
