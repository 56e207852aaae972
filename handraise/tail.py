"""Records of topics, decoded, one line each, as they come."""

from __future__ import annotations

import asyncio
import base64
import signal
from collections.abc import Callable, Collection
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from handraise import output, words
from handraise.failure import Failure
from handraise.settings import Settings
from handraise.subscriber import Seen, subscribe
from schemas.records import LeadAlert, Quarantined, Rejected
from schemas.topics import TOPICS

_SHOWN = {topic.name: topic for topic in TOPICS if topic.records}
_STYLES: dict[type, str] = {LeadAlert: "hot", Quarantined: "quiet", Rejected: "bad"}
_KEY_WIDTH = 18


async def tail(
    settings: Settings, names: Collection[str], *, beginning: bool, uncommitted: bool, most: int | None, as_json: bool
) -> None:
    """Print records until Ctrl-C, SIGTERM, or `most` of them.  Raises Failure."""
    topics = chosen(names)
    show = show_json if as_json else lines(output.console(), max(map(len, topics)))
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with subscribe(settings, topics, beginning=beginning, uncommitted=uncommitted) as subscriber:
        while not stopped.is_set() and most != 0:
            records = await subscriber.next(200, most)
            for seen in records:
                show(seen)
            most = None if most is None else most - len(records)


def chosen(names: Collection[str]) -> list[str]:
    """The topics to show: those named, or all public ones.  Raises Failure for a name that is none."""
    for name in names:
        if name not in _SHOWN:
            raise Failure(f"there is no topic {name} to show", "handraise tail", f"name some of: {', '.join(_SHOWN)}")
    return list(names) or [topic.name for topic in _SHOWN.values() if topic.public]


def show_json(seen: Seen) -> None:
    """One JSON object on one line; bytes are in base64."""
    raw = seen.raw
    found: dict[str, Any] = {
        "topic": seen.topic,
        "partition": raw.partition,
        "offset": raw.offset,
        "timestamp": raw.timestamp,
        "key": None if raw.key is None else raw.key.decode(errors="replace"),
        "record": None if seen.value is None else type(seen.value).__name__,
        "value": None if seen.value is None else msgspec.to_builtins(seen.value),
    }
    if seen.problem:
        found |= {"problem": seen.problem, "bytes": base64.b64encode(raw.value).decode()}
    output.line(found)


def lines(out: Console, topic_width: int) -> Callable[[Seen], None]:
    """Print records in aligned columns, cut at the terminal's width, whole where there is none."""

    def show(seen: Seen) -> None:
        # Of a pair's key the first id is enough: the words have the others.
        key = "" if seen.raw.key is None else seen.raw.key.decode(errors="replace").partition(":")[0]
        what = words.record(seen.value) if seen.value is not None else seen.problem or "gone: its key has no value"
        text = Text.assemble(
            (words.clock(seen.raw.timestamp), "quiet"),
            f"  {seen.topic:<{topic_width}}  ",
            (f"{key:<{_KEY_WIDTH}}  ", "quiet"),
            (what.replace("\n", " "), "bad" if seen.problem else _STYLES.get(type(seen.value), "")),
        )
        if out.is_terminal:
            text.truncate(out.width, overflow="ellipsis")
        out.print(text, soft_wrap=True)

    return show
