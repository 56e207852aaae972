"""Two releases of the fold against each other: the next one's `Absorb` has a field more."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import decode, encode, fastavro_decoder
from schemas.head import is_unknown_mail
from schemas.records import Absorb
from schemas.wire import LOCK, MAIL_RANGE, read_schema, schema_path
from streams import state
from streams.lead_fold import LeadFold
from streams.state import Lead
from tests.oracle.replay import Record
from tests.streams.harness import MONDAY, SHIPPED
from tests.streams.network import INBOX, Act, Network, id_of, ids_of

ROOT = Path(__file__).resolve().parents[2]
STORY = (
    Act(MONDAY, "download", "guide", device="laptop", name="1"),
    Act(MONDAY + 1, "download", "paper", device="laptop", name="2"),
    Act(MONDAY + 2, user="ana", device="laptop", name="3"),
)
FOLDS = """
import json, sys
from schemas.codec import decode
from streams.lead_fold import LeadFold
from streams.rules import load
from tests.oracle.replay import Record

given = json.load(sys.stdin)
states = {bytes.fromhex(key): bytes.fromhex(value) for key, value in given["states"].items()}
fold = LeadFold(0, states, load(given["files"]), 1)
records = [Record(n, at, bytes.fromhex(key), bytes.fromhex(value)) for n, at, key, value in given["records"]]
taken = fold.apply(records)
sent = [(output.key.hex(), output.value.hex()) for output in fold.seal().outputs if output.topic == "lead.events"]
states = {key.hex(): value.hex() for key, value in states.items()}
json.dump({"taken": taken, "states": states, "sent": sent}, sys.stdout)
"""


class Build:
    """A release that is run from a folder: it folds records on given states, as a process of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fold(
        self, states: dict[bytes, bytes], records: Sequence[Record]
    ) -> tuple[int, dict[bytes, bytes], list[Record]]:
        """How many records it took, the states then, and the mail it sent."""
        given = {
            "files": SHIPPED,
            "states": {key.hex(): value.hex() for key, value in states.items()},
            "records": [
                (n, each.timestamp, (each.key or b"").hex(), (each.value or b"").hex())
                for n, each in enumerate(records)
            ],
        }
        done = subprocess.run(
            [sys.executable, "-c", FOLDS],
            input=json.dumps(given),
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout)
        after = {bytes.fromhex(key): bytes.fromhex(value) for key, value in found["states"].items()}
        return found["taken"], after, [mail(bytes.fromhex(key), bytes.fromhex(value)) for key, value in found["sent"]]


def mail(key: bytes, value: bytes) -> Record:
    """A record of the inbox."""
    return Record(0, MONDAY * 1000, key, value)


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The next release: what travels in `Absorb` and `Release` has a field more, written with a new schema id."""
    root = tmp_path_factory.mktemp("newer")
    for room in ("schemas", "streams", "tests/oracle"):
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.c"))
    lock: dict[str, list[dict[str, Any]]] = json.loads((root / "schemas/registry.lock.json").read_text())
    unused = iter(range(max(version.id for versions in LOCK.values() for version in versions) + 1, MAIL_RANGE.stop))
    for record in ("Absorb", "Release"):
        schema = read_schema(schema_path(LOCK[record][-1]))
        (memory,) = (field for field in schema["fields"] if field["name"] == "memory")
        memory["type"]["fields"].append({"name": "plan", "type": "string", "default": "none"})
        (root / f"schemas/history/{record}/v2.avsc").write_text(json.dumps(schema))
        lock[record].append({**lock[record][-1], "version": 2, "id": next(unused)})
    (root / "schemas/registry.lock.json").write_text(json.dumps(lock))
    for file, old, new in (
        ("records.py", '    old_onces: bytes = b""\n', '    old_onces: bytes = b""\n    plan: str = "gold"\n'),
        ("codec.py", '    "Absorb": absorb_encoder,\n', ""),
        ("codec.py", '    "Release": release_encoder,\n', ""),
    ):
        text = (root / "schemas" / file).read_text()
        assert old in text
        (root / "schemas" / file).write_text(text.replace(old, new))
    return Build(root)


def story() -> list[Record]:
    """The story as records of one inbox; the link and what comes of it are still to be sent."""
    return Network(partitions=1).say(*STORY).logs[0]


def of(fold_states: dict[bytes, bytes]) -> Lead:
    """Ana's lead."""
    lead = state.decode(fold_states[id_of("u:ana").encode()])
    assert isinstance(lead, Lead)
    return lead


def test_mail_of_a_newer_release_stops_the_partition_until_it_runs_here_too(newer: Build) -> None:
    """Nothing is rejected or lost: the fold says what it waits for, after a restart too; the newer one goes on."""
    _, states, (link,) = newer.fold({}, story())
    _, states, (absorb,) = newer.fold(states, [link])
    assert absorb.value
    assert is_unknown_mail(absorb.value)
    later = mail(id_of("u:ana").encode(), story()[2].value or b"")
    before = dict(states)
    for _ in range(2):
        fold = LeadFold(0, states, Network().rules, 1)
        assert fold.apply([absorb, later]) == 0
        assert fold.apply([absorb]) == 0
        assert "newer release" in (fold.ready() or "")
        assert "offset" in (fold.ready() or "")
        sealed = fold.seal()
        assert (sealed.changes, sealed.outputs, states) == ({}, [], before)
    taken, states, _ = newer.fold(states, [absorb, later])
    assert taken == 2
    assert of(states).events == len(ids_of(of(states))) == 3


def test_the_newer_release_reads_what_the_older_wrote(newer: Build) -> None:
    """The same story, begun by the older release and ended by the newer one, ends in the same state to the byte."""
    fold = LeadFold(0, states := {}, Network().rules, 1)
    inbox, mails = story(), list[Record]()
    while inbox:
        assert fold.apply(inbox) == len(inbox)
        inbox = [mail(each.key or b"", each.value or b"") for each in fold.seal().outputs if each.topic == INBOX]
        mails += inbox
    assert [type(decode(each.value or b"")).__name__ for each in mails] == ["Link", "Absorb"]
    begun = LeadFold(0, half := {}, Network().rules, 1)
    begun.apply([*story(), mails[0]])
    begun.seal()
    taken, ended, _ = newer.fold(half, mails[1:])
    assert taken == 1
    assert ended == states
    assert of(ended).events == 3


def test_a_release_that_knows_the_schema_reads_the_newer_mail(newer: Build) -> None:
    """With both schemas at hand the older record is found in the newer one, field by field."""
    written = read_schema(schema_path(LOCK["Absorb"][-1]))
    fold = LeadFold(0, {}, Network().rules, 1)
    fold.apply(story())
    (link,) = [output for output in fold.seal().outputs if output.topic == INBOX]
    _, states, _ = newer.fold({}, story())
    _, _, (sent,) = newer.fold(states, [mail(link.key or b"", link.value or b"")])
    fold.apply([mail(link.key or b"", link.value or b"")])
    (own,) = [output for output in fold.seal().outputs if output.topic == INBOX]
    newest = json.loads((newer.root / "schemas/history/Absorb/v2.avsc").read_text())
    absorb = fastavro_decoder(Absorb, newest, written)(sent.value or b"")
    assert absorb == decode(own.value or b"")
    assert encode(absorb) == own.value
