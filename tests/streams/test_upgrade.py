"""What an earlier release has left behind, taken over: states, mail on its way, and the middle of a story."""

import base64
import gzip
import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import fields

from agents.lane.cursor import VERSION, Cursor, decode_cursor
from streams import state as lead_states
from streams.desk import state as desk_states
from streams.fold import Output
from streams.lead_fold import CLOCK
from streams.state import Moved
from tests.oracle.replay import Record
from tests.streams import test_identity_laws
from tests.streams.harness import Time
from tests.streams.network import Act, Network, Step, Wish
from tests.streams.test_identity_laws import check

RECORDED = {
    path.name.partition(".")[0]: json.loads(gzip.decompress(path.read_bytes()))
    for path in (Path(__file__).parent / "recorded").glob("*.json.gz")
}
"""By commit: networks that its folds had brought half through a story, with mail that nobody had read yet."""
STEPS = {"Act": Act, "Wish": Wish, "Time": Time}


@pytest.mark.parametrize("place", range(12))
@pytest.mark.parametrize("commit", list(RECORDED))
def test_what_an_earlier_release_began_is_brought_to_its_end(
    commit: str, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The laws of identity hold for a story whose first half an earlier release has folded, on the states that it left.

    c99594a kept no former owners of devices, and no suspicions beside addresses: its states have two fields fewer.  So
    stories in which these make a difference are not among the recorded ones.
    """
    files, recorded = RECORDED[commit]["files"], RECORDED[commit]["networks"][place]
    monkeypatch.setattr(test_identity_laws, "SMALL", files)
    story = [_step(*each) for each in recorded["story"]]
    network = _network(recorded, files)
    network.run(story[recorded["said"] :])
    check(story, network)


@pytest.mark.parametrize("commit", list(RECORDED))
def test_the_recorded_states_are_of_all_kinds(commit: str) -> None:
    """Leads, forwarding addresses with and without a wish that can be undone, shared evidence; and mail on its way."""
    kinds: set[str] = set()
    unread = 0
    for recorded in RECORDED[commit]["networks"]:
        unread += sum(len(log) - read for log, read in zip(recorded["logs"], recorded["read"], strict=True))
        values = (item for changelog in recorded["changelogs"] for item in changelog.items())
        for found in (lead_states.decode(_bytes(value) or b"") for key, value in values if _bytes(key) != CLOCK):
            kinds.add(type(found).__name__)
            if isinstance(found, Moved):
                kinds.add("wished" if found.undo else "linked")
    assert kinds == {"Lead", "Moved", "Match", "wished", "linked"}
    assert unread > 20


def test_who_changes_the_layout_of_states_says_so_to_earlier_releases() -> None:
    """The states' fields, by the version that stands in each cursor: other fields need another version."""
    kinds = [each for module in (lead_states, desk_states) for each in vars(module).values() if _is_kept(each, module)]
    layout = [(each.__name__, [(field.name, str(field.type)) for field in fields(each)]) for each in kinds]
    assert (VERSION, hashlib.sha256(str(layout).encode()).hexdigest()[:16]) == (2, "a42ae6c02219292f")
    assert decode_cursor(b"\x94\x01\x05\xa1x\x04") == Cursor(1, 5, "x", 4)


def _is_kept(each: object, module: ModuleType) -> bool:
    return isinstance(each, type) and issubclass(each, Struct) and each.__module__ == module.__name__


def _network(recorded: dict[str, Any], files: dict[str, str]) -> Network:
    network = Network(recorded["seed"], files)
    network.logs = [
        [Record(at, time, _bytes(key), _bytes(value)) for at, time, key, value in log] for log in recorded["logs"]
    ]
    network.outside = [(partition, offset) for partition, offset in recorded["outside"]]
    network.outputs = [
        [Output(topic, partition, _bytes(key), _bytes(value), []) for topic, partition, key, value in outputs]
        for outputs in recorded["outputs"]
    ]
    network.mails = recorded["mails"]
    network.take_over(
        [{_bytes(key) or b"": _bytes(value) or b"" for key, value in each.items()} for each in recorded["changelogs"]],
        list(recorded["read"]),
    )
    return network


def _step(name: str, fields: dict[str, Any]) -> Step:
    if name == "Act":
        fields = {**fields, "properties": tuple(tuple(each) for each in fields["properties"])}
    made: Step = STEPS[name](**fields)
    return made


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
