"""One showing: the parts started, the story told, what comes out shown, all of it ended in order."""

from __future__ import annotations

import asyncio
import signal
import time
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import Servers
from handraise import access, audit, output, rules, words
from handraise.audit import Audit
from handraise.clock import now_ms
from handraise.demo import ledger as books
from handraise.demo import requests as hands
from handraise.demo import site, stage, watcher
from handraise.demo.cast import MARTA, MARTA_AT_WORK, signed_in
from handraise.demo.keys import listening
from handraise.demo.ledger import Ledger, Union
from handraise.demo.processes import Child
from handraise.demo.requests import Requests
from handraise.demo.screen import Screen, View
from handraise.demo.sender import THREADS, Sender
from handraise.demo.story import HISTORY_DAYS, YOUR_TURN_S, Act, Story
from handraise.failure import Failure
from handraise.settings import Settings
from handraise.subscriber import Subscriber, subscribe
from streams.publish import INBOX

_BATCH = 50
_REFRESH_S = 0.25
_SLICE_S = 0.02
"""Live events are posted one by one, or together those of so short a time."""
_MOST_ON_THE_WAY = 64
_PATIENCE_S = 60.0
SITE_PORT = 8082
REP = "ben"
"""Whose queue people look at."""


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line."""

    seconds: float | None
    """How long live visitors come; None: until somebody ends it."""
    visitors: int
    rate: float
    """Live events a second."""
    seed: int


class Showing:
    """One showing; afterwards it tells how it went."""

    def __init__(self, options: Options, ledger: Ledger, requests: Requests) -> None:
        self._options, self._ledger, self._requests = options, ledger, requests
        self._story = Story(options.seed, options.visitors)
        self.names = self._story.names()
        self.own: Settings | None = None
        """The demo's own topics and addresses, once all has started."""
        self.kills = 0
        self.settled = False
        """Whether every event came out before the end."""
        self.audit: Audit | None = None
        """What the topics say of the raised hands at the end."""
        self._stop = asyncio.Event()
        self._failed: Failure | None = None
        self._on_the_way: set[asyncio.Task[None]] = set()
        self._recovering: asyncio.Task[None] | None = None
        self._uniting: asyncio.Task[None] | None = None
        self.marta: Union | None = None
        """What came of Marta's devices, once she is one person."""

    async def play(self, settings: Settings, there: Servers, folder: Path, *, tidy: bool) -> None:
        """Set up, tell the story, take down.  Raises Failure."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        own = await stage.own_topics(settings, there, folder, tidy=tidy)
        output.say(f"topics: {own.prefix}* created; gateway, workers and console are starting", "quiet")
        sender = Sender(own.gateway)
        with site.serving(f"http://{own.gateway}", stage.free_port(SITE_PORT), {"/demo": lambda: _link(own)}) as url:
            parts = stage.processes(own, folder, url)
            try:
                await asyncio.gather(*(part.start(self._fail) for part in parts.first))
                await self._unless_stopped(_all(*(part.ready() for part in parts.first), self._ticking(own)))
                if not self._stop.is_set():
                    self.own = own
                    await asyncio.gather(*(part.start(self._fail) for part in parts.then))
                    await self._show(own, sender, parts, url)
            finally:
                await asyncio.gather(*(part.end() for part in (*parts.first, *parts.then)))
                sender.close()
        if self._failed is not None:
            raise self._failed

    @staticmethod
    async def _ticking(own: Settings) -> None:
        """Wait until each partition knows the time: before its first tick an old event would count as of then."""
        async with subscribe(own, [INBOX], beginning=True) as inbox:
            ticked: set[int] = set()
            while len(ticked) < own.partitions:
                ticked |= {seen.raw.partition for seen in await inbox.next(100)}

    async def _show(self, own: Settings, sender: Sender, parts: stage.Parts, site_url: str) -> None:
        view = View(
            f"http://{own.gateway}",
            f"http://{own.console}",
            site_url,
            own.kafka,
            own.prefix,
            self._ledger,
            self._requests,
            self.names,
        )
        async with subscribe(own, (*books.TOPICS, *hands.TOPICS), beginning=True) as subscriber:
            screen = Screen(view)
            works = (self._read(subscriber, screen), self._refresh(screen), self._watch(own, parts))
            beside = [self._beside(work) for work in works]
            try:
                with listening({"k": lambda: self._kill(parts.leads, screen), "q": self._stop.set}) as heard:
                    view.keys = "k kills the scoring worker · q or Ctrl-C ends" if heard else ""
                    await self._unless_stopped(self._tell(sender, view, screen, parts))
                    if self._failed is None:
                        await self._settle(view)
                        self.audit = await audit.audit(own)
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
                screen.refresh()
                screen.close()

    # -- the story

    async def _tell(self, sender: Sender, view: View, screen: Screen, parts: stage.Parts) -> None:
        acts = self._story.history(now_ms())
        view.phase, view.progress = f"{HISTORY_DAYS} days of history", (0, len(acts))
        await self._history(sender, view, acts)
        view.progress, view.phase = None, "the console starts"
        await _all(*(part.ready() for part in parts.then))
        screen.opened()
        await self._live(sender, view, screen)

    async def _history(self, sender: Sender, view: View, acts: Sequence[Act]) -> None:
        """Sent as fast as it is taken, in order for each visitor; returns when all of it has come out."""
        lanes: list[list[Act]] = [[] for _ in range(THREADS)]
        for act in acts:
            lanes[zlib.crc32(act.person.anonymous_id.encode()) % THREADS].append(act)
        sending = [asyncio.create_task(self._send_lane(sender, lane)) for lane in lanes]
        while self._ledger.acknowledged < len(acts) or not self._ledger.settled:
            done = self._ledger.scored + self._ledger.quarantined + self._ledger.rejected
            view.progress = (done, len(acts))
            await asyncio.sleep(_SLICE_S)
        await asyncio.gather(*sending)

    async def _send_lane(self, sender: Sender, lane: Sequence[Act]) -> None:
        for start in range(0, len(lane), _BATCH):
            if self._stop.is_set():
                return
            await asyncio.shield(self._post(sender, lane[start : start + _BATCH], live=False))

    async def _unite(self, screen: Screen) -> None:
        """Tell when what Marta did on both of her devices has become one lead, with the numbers that show it."""
        devices = [self._ledger.lead(device) for device in (MARTA, MARTA_AT_WORK)]
        await _until(lambda: (union := self._ledger.union(devices)) is not None and union.exact)
        self.marta = union = self._ledger.union(devices)
        if union is None:
            screen.tell("bad", f"{MARTA.name} has signed in on two devices, and they are two leads still")
            return
        parts, together = " + ".join(map(words.points, union.parts)), words.points(union.together)
        lost, doubled = max(0, union.sent - union.counted), max(0, union.counted - union.sent)
        one_lead = f"{MARTA.name} signs in on both: {parts} points are one lead of {together}"
        screen.tell("good" if union.exact else "bad", f"{one_lead}; lost {lost}, doubled {doubled}")

    async def _live(self, sender: Sender, view: View, screen: Screen) -> None:
        steps, scenes, begun = self._story.live(), self._story.scenes(), time.monotonic()
        rate, length_s = self._options.rate, self._options.seconds
        told, your_turn = 0, False
        while length_s is None or time.monotonic() - begun < length_s:
            seconds = time.monotonic() - begun
            view.phase, view.clock = "live visitors", _span(seconds, length_s)
            wanted = int(seconds * rate)
            acts = [self._story.act(now_ms(), *next(steps)) for _ in range(wanted - told)]
            told = wanted
            while scenes and scenes[0].second <= seconds:
                scene = scenes.pop(0)
                acts.append(self._story.act(now_ms(), scene.person, scene.call))
                if scene.words:
                    screen.tell("", scene.words)
                if scene.person == signed_in(MARTA_AT_WORK) and self._uniting is None:
                    self._uniting = self._beside(self._unite(screen))
            if seconds >= YOUR_TURN_S and not your_turn:
                your_turn = True
                screen.tell("strong", f"Your turn: open {view.site}/demo, look around the site, then press “Call me”")
            if acts:
                self._post(sender, acts, live=True)
            while len(self._on_the_way) > _MOST_ON_THE_WAY:
                await asyncio.wait(self._on_the_way, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(_SLICE_S)

    def _post(self, sender: Sender, acts: Sequence[Act], *, live: bool) -> asyncio.Task[None]:
        """Deliver; goes on when whoever waits for it is stopped, so that both sides of the ledger stay true."""
        task = self._beside(self._deliver(sender, acts, live))
        self._on_the_way.add(task)
        task.add_done_callback(self._on_the_way.discard)
        return task

    async def _deliver(self, sender: Sender, acts: Sequence[Act], live: bool) -> None:
        self._ledger.posting(acts, live=live)
        self._requests.posting(acts)
        await sender.post(acts)
        self._ledger.posted(acts)

    async def _settle(self, view: View) -> None:
        """Wait until what was sent has come out."""
        view.phase, view.clock = "the last events are being scored", ""
        view.progress, view.keys = None, ""
        waiting = {*self._on_the_way, *(task for task in (self._recovering, self._uniting) if task)}
        if waiting:
            await asyncio.wait(waiting, timeout=_PATIENCE_S)
        done = await _until(lambda: self._all_is_out or self._failed is not None)
        self.settled = done and self._failed is None
        view.phase = "done"

    @property
    def _all_is_out(self) -> bool:
        return self._ledger.settled and self._requests.settled

    # -- beside the story

    async def _read(self, subscriber: Subscriber, screen: Screen) -> None:
        while True:
            records = await subscriber.next(100)
            # First: what a lead was worth when it asked.
            for request in self._requests.seen(records):
                screen.request(request)
            for alert in self._ledger.seen(records):
                screen.alert(alert)

    async def _watch(self, own: Settings, parts: stage.Parts) -> None:
        await parts.console.ready()
        async for assignment in watcher.shown(own.console, _link(own)):
            self._requests.shown(assignment["request_id"])

    async def _refresh(self, screen: Screen) -> None:
        while True:
            screen.refresh()
            await asyncio.sleep(_REFRESH_S)

    def _kill(self, worker: Child, screen: Screen) -> None:
        if self._recovering is None or self._recovering.done():
            self._recovering = self._beside(self._recover(worker, screen))

    async def _recover(self, worker: Child, screen: Screen) -> None:
        """Kill the worker, and tell when its successor has scored all that was accepted until it was there."""
        began, restarts = time.monotonic(), worker.restarts + 1
        self.kills += 1
        worker.kill()
        screen.tell("strong", "the scoring worker was killed (SIGKILL); the gateway goes on taking events")
        await worker.ready(after_restarts=restarts)
        ready_s, accepted = time.monotonic() - began, self._ledger.snapshot()
        await _until(lambda: not self._ledger.lost(accepted))
        lost, doubled = self._ledger.lost(accepted), self._ledger.doubled()
        verdict = f"its successor took over after {ready_s:.1f} s: lost {lost}, doubled {doubled}"
        screen.tell("bad" if lost or doubled else "good", verdict)

    # -- how it ends

    def _fail(self, failure: Failure) -> None:
        self._failed = self._failed or failure
        self._stop.set()

    def _beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run beside the rest; what fails in it ends the showing."""

        async def watched() -> None:
            try:
                await work
            except Failure as failure:
                self._fail(failure)

        return asyncio.create_task(watched())

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it, or leave off when somebody wants the end.  Raises what the work raises."""
        doing, stopping = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not doing.done():
                doing.cancel()
                await asyncio.gather(doing, return_exceptions=True)
        if not doing.cancelled():
            doing.result()


async def _all(*works: Awaitable[None]) -> None:
    await asyncio.gather(*works)


async def _until(done: Callable[[], bool]) -> bool:
    """Wait for what the subscriber is about to see; whether it came in time."""
    deadline = time.monotonic() + _PATIENCE_S
    while not done() and time.monotonic() < deadline:  # noqa: ASYNC110 - many records may make it so
        await asyncio.sleep(_SLICE_S)
    return done()


def _link(own: Settings) -> str:
    """A link that signs a rep in, once, and leads to the site beside their queue."""
    people = rules.load(own.rules).desk.roster.people
    return access.one_time_link(own, REP if REP in people else next(iter(people)), next="/demo")


def _span(seconds: float, length_s: float | None) -> str:
    def clock(whole: int) -> str:
        return f"{whole // 60}:{whole % 60:02d}"

    return clock(int(seconds)) + (f" of {clock(int(length_s))}" if length_s is not None else "")
