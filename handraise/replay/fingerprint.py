"""A content hash of what folds said and remember, over all that does not depend on how records were cut into batches.

That is all but the values of `lead.state` on the way: how often it is published depends on the load.  The states at the
end are in it, and with them the last value of each lead.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

from streams.fold import Output

OFTEN = "lead.state"
"""Published once a batch and lead."""


class Fingerprint:
    """The hash of one fold's partition: of each stream that it writes, in its order, and of its states."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, int], hashlib._Hash] = {}
        self.counts: Counter[str] = Counter()
        """What it said, by topic."""

    def add(self, outputs: Iterable[Output]) -> None:
        """What the fold said next."""
        for output in outputs:
            topic, partition, key, value, headers = output
            self.counts[topic] += 1
            if topic == OFTEN:
                continue
            stream = self._streams.get((topic, partition))
            if stream is None:
                stream = self._streams[topic, partition] = hashlib.sha256()
            for part in (key, value, ce_id(headers)):
                stream.update(_framed(part))

    def digest(self, states: Mapping[bytes, bytes]) -> str:
        """The hash, with the states at the end."""
        whole = hashlib.sha256()
        for (topic, partition), stream in sorted(self._streams.items()):
            whole.update(f"{topic}/{partition}:{stream.hexdigest()}\n".encode())
        for key, value in sorted(states.items()):
            whole.update(_framed(key))
            whole.update(_framed(value))
        return whole.hexdigest()


def combined(digests: Mapping[str, str]) -> str:
    """One hash of several folds' partitions, by their names."""
    text = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def ce_id(headers: Iterable[tuple[str, bytes]]) -> bytes | None:
    """The record's CloudEvents id; None if it has none, as mail."""
    for name, value in headers:
        if name == "ce_id":
            return value
    return None


def _framed(part: bytes | None) -> bytes:
    return b"-" if part is None else len(part).to_bytes(4, "big") + part
