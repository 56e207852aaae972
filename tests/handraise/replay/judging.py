"""The recording judged: verified as it is or falsified, and folded into a folder."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from handraise.replay.deployment import Outcome, Plan, ends_of, verify_here
from handraise.replay.difference import Difference
from handraise.replay.verify import Verified, verify
from handraise.replay.window import replay
from handraise.replay.writing import FILES, Folder
from streams.compiled import lead_fold
from tests.handraise.replay.conftest import Recording
from tests.handraise.replay.copies import Copy, Place


def outcome(recording: Recording, copy: Copy | None = None, **how: object) -> Outcome:
    """What a verification of the recording, or of a falsified copy of it, says."""
    return asyncio.run(verify_here(copy or recording.copy, recording.rules, **how))  # type: ignore[arg-type]


def of(recording: Recording, copy: Copy, fold: str, folder: Path) -> Verified:
    """What a verification of one partition says."""

    async def run() -> Verified:
        partitions, ends = await ends_of(copy, "")
        return await verify(copy, Plan(recording.rules, partitions, ends, folder, lead_fold).work(fold))

    return asyncio.run(run())


def is_found(differences: list[Difference], place: Place) -> bool:
    """Whether a difference is told of that topic's partition."""
    return any((each.topic, each.partition) == place for each in differences)


def folded(recording: Recording, folder: Path, since: int | None = None, until: int | None = None) -> Path:
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
