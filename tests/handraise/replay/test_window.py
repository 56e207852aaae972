"""The recorded inboxes folded into a folder: what was published, no more and no less, between any two times."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from handraise.failure import Failure
from handraise.replay.window import replay
from handraise.replay.writing import FILES, Folder
from tests.handraise.replay.conftest import Recording
from tests.handraise.replay.copies import Copy


def fold(recording: Recording, folder: Path, since: int | None = None, until: int | None = None) -> Path:
    """Fold the recording into a folder."""
    with Folder(folder, recording.rules.rules) as out:
        assert asyncio.run(replay(recording.copy, recording.rules, since, until, out)) > 0
        out.close()
    return folder


def ids(folder: Path, topic: str) -> list[str]:
    """The ids of what was written, in order."""
    return [json.loads(line)["id"] for line in (folder / FILES[topic]).read_text().splitlines()]


def published(copy: Copy, topic: str) -> list[str]:
    """The ids of what was published there."""
    places = sorted(place for place in copy.chunks if place[0] == topic)
    return [dict(it.headers)["ce_id"].decode() for place in places for it in copy.records(place)]


def test_it_is_what_was_published(recording: Recording, tmp_path: Path) -> None:
    """Each transition, alert and assignment of the topics, and perhaps what nobody had folded yet; never twice."""
    folder = fold(recording, tmp_path / "all")
    for topic in FILES:
        written = ids(folder, topic)
        assert len(set(written)) == len(written)
        assert set(published(recording.copy, topic)) <= set(written)


def test_its_states_are_the_workers_memory(recording: Recording, tmp_path: Path) -> None:
    """Under every lead that a worker remembers stands the same; the clocks may have gone on."""
    remembered: dict[tuple[str, str], bytes | None] = {}
    for topic, partition in recording.copy.chunks:
        if topic == "leads.changelog":
            for record in recording.copy.records((topic, partition)):
                remembered[f"leads-{partition}", (record.key or b"").decode("latin-1")] = record.value
    lines = (fold(recording, tmp_path / "all") / "states.jsonl").read_text().splitlines()
    told: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        state = json.loads(line)
        told[state["fold"], state["key"]] = state
    of_leads = {place: value for place, value in remembered.items() if not place[1].startswith("\0")}
    kept = {place for place, value in of_leads.items() if value is not None}
    assert kept <= told.keys()
    assert all(base64.b64decode(told[place]["memory"]) == remembered[place] for place in kept)
    assert {state["is"] for place, state in told.items() if "is" in state} >= {"lead", "moved"}


def test_two_parts_are_the_whole(recording: Recording, tmp_path: Path) -> None:
    """What was said before a time and what was said from then on: together all, nothing twice; the end is the same."""
    times = sorted(it.timestamp for it in recording.copy.records(("lead.events", 0)))
    middle = times[len(times) // 2]
    whole = fold(recording, tmp_path / "whole")
    before, after = fold(recording, tmp_path / "a", until=middle), fold(recording, tmp_path / "b", since=middle)
    for topic in FILES:
        parts = [*ids(before, topic), *ids(after, topic)]
        assert sorted(parts) == sorted(ids(whole, topic))
        assert ids(before, topic) and ids(after, topic)
    assert (after / "states.jsonl").read_bytes() == (whole / "states.jsonl").read_bytes()
    assert (before / "states.jsonl").read_bytes() != (whole / "states.jsonl").read_bytes()


def test_a_beginning_that_is_gone_is_told(recording: Recording, tmp_path: Path) -> None:
    """What a lead is depends on all that was before: no folder is filled with half of it."""
    cut = recording.copy.expired(("lead.events", 2), 3)
    with (
        Folder(tmp_path, recording.rules.rules) as out,
        pytest.raises(Failure, match="partition 2: it begins at offset 3"),
    ):
        asyncio.run(replay(cut, recording.rules, None, None, out))
    assert not (tmp_path / "hash").exists()
