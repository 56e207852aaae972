"""What `handraise replay` does, from settings to what it tells."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handraise import keyfile, output, rules
from handraise.person import read_time
from handraise.replay import deployment, window
from handraise.replay.deployment import Outcome
from handraise.replay.lines import Lines
from handraise.replay.offline import Deployment
from handraise.replay.recorded import recorded
from handraise.replay.writing import Folder
from handraise.settings import Settings
from handraise.words import count


@dataclass(frozen=True)
class Written:
    """A replay that is done."""

    folder: Path
    folded: int
    """Records of the inboxes, or of the file."""
    said: dict[str, int]
    """Records by topic."""
    written_hash: str
    ok = True

    def as_data(self) -> dict[str, Any]:
        """For machines."""
        return {
            "folder": str(self.folder),
            "folded": self.folded,
            "said": self.said,
            "written_hash": self.written_hash,
        }


def from_file(settings: Settings, events: Path, rules_folder: Path, out: Path) -> Written:
    """Fold the events of a file with no broker at all.  Raises Failure."""
    loaded = rules.load(rules_folder)
    secret = keyfile.id_key(settings, output.note)
    with Folder(out, loaded.rules) as folder:
        folded = Deployment(loaded, settings.partitions, folder).run(Lines(events, settings, loaded, secret))
        return Written(out, folded, folder.count(), folder.close())


def from_kafka(settings: Settings, rules_folder: Path, since: str | None, until: str | None, out: Path) -> Written:
    """Fold the recorded inboxes; what was said between two times, and the states at the end.  Raises Failure."""
    loaded = rules.load(rules_folder)
    begin = None if since is None else read_time(since, "--from") * 1_000
    end = None if until is None else read_time(until, "--to") * 1_000

    async def run(folder: Folder) -> int:
        async with recorded(settings) as topics:
            return await window.replay(topics, loaded, begin, end, folder)

    with Folder(out, loaded.rules) as folder:
        folded = asyncio.run(run(folder))
        return Written(out, folded, folder.count(), folder.close())


def verify(settings: Settings, rules_folder: Path, processes: int) -> Outcome:
    """Compare what was published and remembered with what the recorded inboxes give.  Raises Failure."""
    begun = time.monotonic()
    outcome = deployment.verify_on_kafka(settings, rules_folder, processes)
    outcome.seconds = time.monotonic() - begun
    return outcome


def show(done: Written | Outcome) -> None:
    """Tell it to people."""
    if isinstance(done, Written):
        output.say(f"{count(done.folded, 'record')} folded into {done.folder}")
        said = [(topic, f"{number:,}") for topic, number in done.said.items()]
        output.show(output.table([("topic", "left"), ("said", "right")], said))
        output.say(f"hash {done.written_hash}")
        return
    wrong = {(each.topic, each.partition) for each in done.differences}
    columns = [("topic", "left"), ("equal", "right"), ("not kept", "right"), ("differs in", "left")]
    rows = [
        (topic, f"{number:,}", f"{done.gone.get(topic, 0):,}", _partitions(wrong, topic))
        for topic, number in sorted(done.compared.items())
    ]
    output.show(output.table(columns, rows))
    for difference in done.differences:
        output.say()
        for line in difference.lines():
            output.copyable(line, "bad" if line[0] != " " else None)
    for what, why in done.unverified.items():
        output.copyable(f"not verified: {what}: {why}", "bad")
    output.say()
    speed = f"{done.records / max(done.seconds, 0.001):,.0f} a second"
    output.say(f"{count(done.records, 'record')} of the inboxes folded in {done.seconds:.1f} s, {speed}")
    output.say(f"hash {done.hash}")
    if done.ok:
        output.say("what was published is what the recorded inboxes give", "good")
    else:
        found = count(len(done.differences), "difference")
        output.say(f"{found}, {count(len(done.unverified), 'part')} not verified", "bad")


def _partitions(wrong: set[tuple[str, int]], topic: str) -> str:
    return ", ".join(str(partition) for name, partition in sorted(wrong) if name == topic.removesuffix(" (mail)"))
