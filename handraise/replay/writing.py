"""What a replay writes into its folder: a file for each thing that folds say, the states at the end, and the hash."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import msgspec

from handraise.failure import Failure
from handraise.replay.fingerprint import Fingerprint, ce_id, combined
from schemas.codec import decode
from streams import state
from streams.fold import Output
from streams.lead_fold import RESERVED
from streams.ledger import rebuild
from streams.lifecycle import STAGES
from streams.rules import Rules
from streams.ruleset import remembered
from streams.score import behaviour
from streams.state import Lead, Moved

FILES = {
    "lead.transitions": "transitions.jsonl",
    "lead.alerts": "alerts.jsonl",
    "lead.assignments": "assignments.jsonl",
}
STATES, HASH = "states.jsonl", "hash"


class Folder:
    """The folder of a replay.  Guarantee: without an error all files are complete; with one there is no `hash`."""

    def __init__(self, path: Path, rules: Rules) -> None:
        self._rules, self._path = rules, path
        self._prints: dict[str, Fingerprint] = {}
        self._digests: dict[str, str] = {}
        self._files = ExitStack()
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / HASH).unlink(missing_ok=True)
            self._open = {topic: self._file(name) for topic, name in FILES.items()}
            self._states = self._file(STATES)
        except OSError as error:
            self._files.close()
            raise Failure(f"nothing can be written there: {error.strerror}", str(path), "name a folder") from None

    def _file(self, name: str) -> IO[bytes]:
        return self._files.enter_context((self._path / name).open("wb"))

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def say(self, fold: str, outputs: Iterable[Output]) -> None:
        """What a fold said next; `fold`: its role and partition, such as `leads-0`."""
        outputs = list(outputs)
        self._prints.setdefault(fold, Fingerprint()).add(outputs)
        for output in outputs:
            if output.topic in self._open and output.value is not None:
                record, id = decode(output.value), ce_id(output.headers) or b""
                self._line(
                    self._open[output.topic],
                    {
                        "id": id.decode(),
                        "key": None if output.key is None else output.key.decode(),
                        "record": type(record).__name__,
                        "value": msgspec.to_builtins(record),
                    },
                )

    def remember(self, fold: str, states: Mapping[bytes, bytes]) -> None:
        """What a fold remembers at the end; called once for each, when it has said everything."""
        self._digests[fold] = self._prints.setdefault(fold, Fingerprint()).digest(states)
        rules, _ = remembered(states, self._rules)
        for key, value in sorted(states.items()):
            told = _lead(value, rules) if fold.startswith("leads-") and key not in RESERVED else {}
            memory = base64.b64encode(value).decode()
            self._line(self._states, {"fold": fold, "key": key.decode("latin-1"), **told, "memory": memory})

    def close(self) -> str:
        """Write the hash; returns it."""
        found = combined(self._digests)
        self._files.close()
        (self._path / HASH).write_text(f"{found}\n")
        return found

    def count(self) -> dict[str, int]:
        """What was said, by topic."""
        counts: dict[str, int] = {}
        for each in self._prints.values():
            for topic, count in each.counts.items():
                counts[topic] = counts.get(topic, 0) + count
        return dict(sorted(counts.items()))

    @staticmethod
    def _line(file: IO[bytes], value: Any) -> None:
        file.write(msgspec.json.encode(value) + b"\n")


def _lead(value: bytes, rules: Rules) -> dict[str, Any]:
    """A state of the lead fold for people and programs; a score is by the rules that are in force at the end."""
    found = state.decode(value)
    if isinstance(found, Moved):
        return {"is": "moved", "to": found.to, "at": found.at}
    if not isinstance(found, Lead):
        return {"is": "match", "evidence": found.evidence, "leads": found.leads}
    if found.model != rules.number:
        rebuild(found, rules)
    score = behaviour(found, rules, found.as_of)
    return {
        "is": "lead",
        "as_of": found.as_of,
        "score_millipoints": score,
        "level": rules.level(score),
        "hot_since": found.hot_since or None,
        "stage": STAGES[found.stage],
        "stage_since": found.stage_since,
        "first_seen": found.first_seen,
        "last_seen": found.last_seen,
        "events": found.events,
        "visits": found.visits.count,
        "email": found.email,
    }
