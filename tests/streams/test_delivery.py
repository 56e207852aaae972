"""Laws of delivery, in a simulated world: servers come and go, the process dies anywhere, days pass in a moment."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Delivery, Notice
from streams.delivery import (
    GIVEN_UP_MS,
    LATE_MS,
    MOST_AT_ONCE,
    STEPS_MS,
    Channels,
    Item,
    Outbox,
    Target,
    Verdict,
    targets,
    wait_ms,
)

NOON = 1_795_521_600_000
MINUTE = 60_000
HOUR = 60 * MINUTE
CHANNELS = Channels(
    email=True,
    endpoints={"crm": frozenset(), "pager": frozenset({"escalation"})},
    people=frozenset({"ana", "mert"}),
    queues={"manager": "mert", "check": "nobody"},
)


def notice(n: int, to: str = "ana", after: int = NOON, channels: tuple[str, ...] = ("email",), **more: str) -> Notice:
    """Some notice."""
    kind = more.get("kind", "raised_hand")
    return Notice(f"desk-0-{n}-0", to, kind, f"{n:016x}", None, "Jonas asks to be called", after, after, None, channels)


class World:
    """Notices on one partition, a process that delivers them, what it recorded, and what really went out."""

    def __init__(self, notices: list[Notice], random: Random, crash: float = 0.0) -> None:
        self.notices, self.random, self.crash = notices, random, crash
        self.log: list[Delivery] = []
        self.sent: list[tuple[str, Target, int]] = []
        self.attempts: list[tuple[Item, int]] = []
        self.unrecorded: set[tuple[str, Target]] = set()
        self.down: list[tuple[str, int, int]] = []
        self.position = 0
        self.now = NOON
        self.start()

    def start(self) -> None:
        """Begin from what is on the topics."""
        self.outbox = Outbox(CHANNELS)
        for delivery in self.log:
            self.outbox.hear(delivery)
        self.next = self.position

    def run(self, until: int, step: int = 1_000) -> None:
        """Live until then."""
        while self.now < until:
            if self._dies() or not self._work():
                self.start()
                continue
            coming = [each.at for each in self.notices[self.next : self.next + 1]]
            wakes_at = self.outbox.wakes_at()
            waking = [*coming, until] if wakes_at is None else [*coming, until, wakes_at]
            self.now = max(self.now + step, min(waking))

    def _work(self) -> bool:
        while self.next < len(self.notices) and self.notices[self.next].at <= self.now:
            if not self._record(self.outbox.take((0, self.next), self.notices[self.next], self.now)):
                return False
            self.next += 1
        if not self._record(self.outbox.overdue(self.now)):
            return False
        for item in self.outbox.due(self.now):
            self.attempts.append((item, self.now))
            verdict = self._try(item)
            if verdict.outcome == "sent":
                self.sent.append((item.notice.notice_id, item.target, self.now))
                if self._dies():
                    self.unrecorded.add((item.notice.notice_id, item.target))
                    return False
            if not self._record([self.outbox.ended(item, verdict, self.now)]):
                return False
        self.position = self.outbox.positions().get(0, self.position)
        return not self._dies()

    def _try(self, item: Item) -> Verdict:
        is_down = any(item.target.server == name and start <= self.now < end for name, start, end in self.down)
        return Verdict("away", "connection refused") if is_down else Verdict("sent", "250 OK")

    def _record(self, deliveries: list[Delivery]) -> bool:
        for each in deliveries:
            self.log.append(each)
            if self._dies():
                return False
            self.outbox.recorded(each)
        return True

    def _dies(self) -> bool:
        return self.random.random() < self.crash

    def ends(self) -> dict[tuple[str, Target], list[Delivery]]:
        """How each notice ended for each target: no more than one end."""
        found: dict[tuple[str, Target], list[Delivery]] = {}
        for each in self.log:
            if each.status != "failed":
                found.setdefault((each.notice_id, Target(each.channel, each.target)), []).append(each)
        return found


outages = st.lists(
    st.tuples(st.sampled_from(("email", "webhook:crm")), st.integers(0, 30 * 60), st.integers(1, 30 * 60)), max_size=3
)


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 600), st.sampled_from(("email", "console"))), max_size=8),
    outages,
    st.randoms(use_true_random=False),
    st.sampled_from((0.0, 0.1, 0.3)),
)
def test_each_notice_ends_once(
    told: list[tuple[int, int, str]], down: list[tuple[str, int, int]], random: Random, crash: float
) -> None:
    """Whatever is away, whenever the process dies: one end for each target; sent again only what was not recorded."""
    begun = sorted(NOON + minute * MINUTE for minute, _, _ in told)
    notices = [
        Notice(f"desk-0-{n}-0", "ana", "reminder", None, None, "x", at, at + wait * MINUTE, None, (channel,))
        for n, (at, (_, wait, channel)) in enumerate(zip(begun, told, strict=True))
    ]
    world = World(notices, random, crash)
    world.down = [(name, NOON + start * MINUTE, NOON + (start + length) * MINUTE) for name, start, length in down]
    world.run(NOON + 120 * HOUR)
    ends = world.ends()
    assert set(ends) == {(each.notice_id, target) for each in notices for target in targets(each, CHANNELS)}
    assert all(len(each) == 1 for each in ends.values())
    assert len(world.outbox) == 0 and world.position == len(notices)
    by_id = {each.notice_id: each for each in notices}
    for key, [end] in ends.items():
        times = [at for notice_id, target, at in world.sent if (notice_id, target) == key]
        assert all(by_id[key[0]].deliver_after <= at <= by_id[key[0]].deliver_after + GIVEN_UP_MS for at in times)
        if end.status == "sent":
            assert times and (len(times) == 1 or key in world.unrecorded)
            assert end.late == (end.at - by_id[key[0]].deliver_after > LATE_MS)
        else:
            assert not times or key in world.unrecorded


def test_a_mail_server_down_for_an_hour() -> None:
    """200 notices wait for it: each is delivered once after it is back, marked late, and few attempts were wasted."""
    notices = [notice(n, after=NOON + n * 10_000) for n in range(200)]
    world = World(notices, Random(1))
    world.down = [("email", NOON, NOON + HOUR)]
    world.run(NOON + 2 * HOUR)
    mails = [end for (_, target), [end] in world.ends().items() if target.channel == "email"]
    assert len(mails) == len([each for each in world.sent if each[1].channel == "email"]) == 200
    back = NOON + HOUR
    assert all(end.status == "sent" and end.late and back <= end.at for end in mails)
    assert max(end.at for end in mails) < back + STEPS_MS[-1] * 1.2 + 200 * 1_000
    wasted = [at for item, at in world.attempts if item.target.channel == "email" and at < back]
    assert len(wasted) < 20
    hooks = [end for (_, target), [end] in world.ends().items() if target.channel == "webhook"]
    assert not any(end.late for end in hooks), "one server that is away delays no other"


def test_what_nobody_takes_for_a_day_is_given_up() -> None:
    """After 24 hours a notice is a dead letter with the last answer, and is never tried again."""
    world = World([notice(1)], Random(1))
    world.down = [("email", NOON, NOON + 100 * HOUR)]
    world.run(NOON + 100 * HOUR)
    [end] = world.ends()["desk-0-1-0", Target("email", "ana")]
    assert (end.status, end.answer, end.late) == ("dead", "connection refused", False)
    assert NOON + GIVEN_UP_MS <= end.at < NOON + GIVEN_UP_MS + 20 * MINUTE
    assert max(at for item, at in world.attempts if item.target.channel == "email") < NOON + GIVEN_UP_MS


def test_refused_for_good_is_given_up_at_once() -> None:
    """A recipient that does not exist is not tried for a day, and holds up nobody else."""
    outbox = Outbox(CHANNELS)
    for n in (1, 2):
        outbox.take((0, n), notice(n, channels=("email",)), NOON)
    mails = [item for item in outbox.due(NOON) if item.target.channel == "email"]
    end = outbox.ended(mails[0], Verdict("refused", "550 no such user"), NOON + 50)
    outbox.recorded(end)
    assert (end.status, end.attempt, end.answer) == ("dead", 1, "550 no such user")
    sent = outbox.ended(mails[1], Verdict("sent", "250 OK"), NOON + 60)
    assert sent.status == "sent"


def test_one_that_is_put_off_delays_no_other() -> None:
    """`later` concerns one notice: the server is there, and the next one goes out."""
    outbox = Outbox(CHANNELS)
    outbox.take((0, 1), notice(1), NOON)
    item = next(each for each in outbox.due(NOON) if each.target.channel == "email")
    failed = outbox.ended(item, Verdict("later", "450 greylisted", 60_000), NOON)
    outbox.recorded(failed)
    assert (failed.status, failed.next_at) == ("failed", NOON + 60_000)
    outbox.take((0, 2), notice(2), NOON + 1)
    assert [each.notice.notice_id for each in outbox.due(NOON + 1) if each.target.channel == "email"] == ["desk-0-2-0"]
    assert [each.notice.notice_id for each in outbox.due(NOON + 60_000)] == ["desk-0-1-0"]


def test_so_many_at_once() -> None:
    """One server gets so many attempts at a time, and one alone as long as it seems to be away."""
    outbox = Outbox(CHANNELS)
    for n in range(10):
        outbox.take((0, n), notice(n), NOON)
    first = outbox.due(NOON)
    assert len([each for each in first if each.target.channel == "email"]) == MOST_AT_ONCE
    for item in first:
        outbox.recorded(outbox.ended(item, Verdict("away", "refused"), NOON))
    assert outbox.due(NOON + 1) == []
    later = outbox.due(NOON + HOUR)
    assert sorted(each.target.server for each in later) == ["email", "webhook:crm"]


@pytest.mark.parametrize(
    ("it", "expected"),
    [
        (notice(1, channels=("console", "email")), [("webhook", "crm"), ("console", "ana")]),
        (notice(1, channels=("chat", "email")), [("webhook", "crm"), ("email", "ana")]),
        (notice(1, to="manager"), [("webhook", "crm"), ("email", "mert")]),
        (notice(1, to="manager", kind="escalation"), [("webhook", "crm"), ("webhook", "pager"), ("email", "mert")]),
        (notice(1, to="check"), [("webhook", "crm")]),
        (notice(1, to="visitor"), [("webhook", "crm"), ("email", "visitor")]),
        (notice(1, to="visitor", channels=("console",)), [("webhook", "crm")]),
        (notice(1, channels=("webhook", "email")), [("webhook", "crm")]),
        (notice(1, channels=("sms",)), [("webhook", "crm")]),
    ],
)
def test_who_is_told_by_what(it: Notice, expected: list[tuple[str, str]]) -> None:
    """Endpoints get what they asked for; the person is told by the first configured channel that the notice names."""
    assert targets(it, CHANNELS) == [Target(*each) for each in expected]


def test_nothing_configured_is_no_error() -> None:
    """A notice that no configured channel fits is recorded as skipped, at once and once."""
    outbox = Outbox(Channels())
    [skipped] = outbox.take((3, 7), notice(1), NOON)
    assert (skipped.status, skipped.channel, skipped.attempt, skipped.late) == ("skipped", "none", 0, False)
    assert outbox.positions() == {3: 7} and outbox.due(NOON) == []
    outbox.recorded(skipped)
    assert outbox.positions() == {3: 8} and len(outbox) == 0


def test_waits_grow_and_differ() -> None:
    """Waits grow up to a quarter of an hour, are the same at every calculation, and up to a fifth apart."""
    target = Target("email", "ana")
    waits = [wait_ms("desk-0-1-0", target, attempt) for attempt in range(1, 12)]
    assert waits == [wait_ms("desk-0-1-0", target, attempt) for attempt in range(1, 12)]
    for attempt, wait in enumerate(waits):
        step = STEPS_MS[min(attempt, len(STEPS_MS) - 1)]
        assert step <= wait <= step * 1.2
    assert len({wait_ms(f"desk-0-{n}-0", target, 6) for n in range(100)}) > 90
