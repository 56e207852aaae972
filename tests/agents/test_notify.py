"""notify on real Kafka with a real SMTP server and HTTP endpoints: sent, recorded, tried again, never twice."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError
from standardwebhooks import Webhook

from agents.notify import Notify, NotifyConfig
from agents.senders import Endpoint, Mailbox
from handraise import topics
from handraise.settings import read
from schemas.codec import decode, encode
from schemas.keys import partition_of
from schemas.records import Delivery, Notice, RaisedHand
from schemas.topics import physical
from tests.agents.post_office import HookServer, MailServer
from tests.agents.readside import PARTITIONS, until
from tests.gateway.test_known import HAND

SECRET = b"0123456789abcdef0123456789abcdef"


class Office:
    """One deployment's notices, where they go, and what was recorded."""

    def __init__(self, kafka: str, prefix: str) -> None:
        self.kafka, self.prefix = kafka, prefix
        self.mail, self.hooks = MailServer(), HookServer()
        self.now = lambda: time.time_ns() // 1_000_000
        self._count = 0

    def config(self, **changes: Any) -> NotifyConfig:
        """Mail and one endpoint."""
        given: dict[str, Any] = {
            "mailbox": Mailbox("127.0.0.1", self.mail.port, "Shop <desk@shop.example>", "shop.example", "none", "", ""),
            "endpoints": (Endpoint("crm", f"{self.hooks.url}/notices", SECRET, frozenset({"raised_hand"})),),
            "addresses": {"ana": "ana@shop.example", "lost": "nobody@shop.example"},
            "queues": {"manager": "ana"},
        }
        return NotifyConfig(self.kafka, self.prefix, **{**given, **changes})

    @asynccontextmanager
    async def notify(self, **changes: Any) -> AsyncIterator[Notify]:
        """A notify at work; at the end it is cut off, whatever it does."""
        notify = Notify(self.config(**changes), self.now)
        working = asyncio.create_task(notify.run())
        try:
            yield notify
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working

    def notice(self, to: str = "ana", kind: str = "reminder", **more: Any) -> Notice:
        """Another notice; by e-mail, now, unless said otherwise."""
        self._count += 1
        now = self.now()
        given = {"request_id": None, "lead_id": None, "due_at": None, "channels": ("email",), "deliver_after": now}
        text = f"Jonas Vik asks to be called, {self._count}."
        return Notice(notice_id=f"desk-0-{self._count}-0", to=to, kind=kind, text=text, at=now, **{**given, **more})

    async def tell(self, *records: Notice | RaisedHand) -> list[int]:
        """Write them, each in a transaction of its own as workers do; their offsets."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, transactional_id=f"{self.prefix}desk")
        await producer.start()
        offsets = []
        for each in records:
            is_notice = isinstance(each, Notice)
            topic = physical("desk.notices" if is_notice else "desk.events", self.prefix)
            key = each.to.encode() if isinstance(each, Notice) else b""
            partition = partition_of(key, PARTITIONS) if is_notice else 0
            async with producer.transaction():
                told = await producer.send_and_wait(topic, encode(each), key, partition)
            offsets.append(told.offset)
        await producer.stop()
        return offsets

    async def deliveries(self) -> list[Delivery]:
        """All that was recorded."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, auto_offset_reset="earliest")
        await consumer.start()
        places = [TopicPartition(physical("alert.deliveries", self.prefix), n) for n in range(PARTITIONS)]
        consumer.assign(places)
        ends, found = await consumer.end_offsets(places), list[Delivery]()
        while unread := [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(*unread, timeout_ms=50)).values():
                for record in records:
                    each, headers = decode(record.value or b""), dict(record.headers)
                    assert isinstance(each, Delivery)
                    assert headers["ce_id"].decode() == each.delivery_id
                    assert (headers["ce_type"], record.key) == (b"handraise.Delivery", headers["ce_subject"])
                    found.append(each)
        await consumer.stop()
        return found

    async def recorded(self, count: int, *statuses: str) -> list[Delivery]:
        """The deliveries with these statuses, once there are so many."""
        found: list[Delivery] = []

        async def enough() -> bool:
            found[:] = [each for each in await self.deliveries() if each.status in statuses]
            return len(found) >= count

        await until(enough, f"{count} deliveries {statuses}")
        assert len(found) == count
        return found

    def subjects(self) -> list[str]:
        """Of all mails that came."""
        return sorted(str(each["Subject"]) for each in self.mail.messages)


@pytest.fixture
async def office(kafka: str, prefix: str) -> AsyncIterator[Office]:
    """Topics of this test, an endpoint that listens, and a mail server that may be started."""
    environ = {"HANDRAISE_KAFKA": kafka, "HANDRAISE_PREFIX": prefix, "HANDRAISE_PARTITIONS": str(PARTITIONS)}
    await topics.create(read(environ))
    made = Office(kafka, prefix)
    yield made
    made.hooks.close()
    await asyncio.to_thread(made.mail.stop)


async def test_people_and_systems_are_told_once(office: Office) -> None:
    """A rep and a queue's person by mail, the visitor at the address of the form, an endpoint by a signed webhook."""
    office.mail.start()
    hand = msgspec.structs.replace(HAND, request_id="00000000000000cc", email="jonas@brightwater.example")
    [at] = await office.tell(hand)
    confirmation = msgspec.structs.replace(
        office.notice("visitor", "confirmation", request_id=hand.request_id), notice_id=f"desk-0-{at}-1"
    )
    urgent = office.notice(kind="raised_hand", channels=("console", "email"))
    await office.tell(office.notice("manager", "escalation"), confirmation, urgent)
    async with office.notify():
        sent = await office.recorded(3, "sent")
        [skipped] = await office.recorded(1, "skipped")
    assert {(each.channel, each.target, each.to) for each in sent} == {
        ("email", "ana", "manager"),
        ("email", "visitor", "visitor"),
        ("webhook", "crm", "ana"),
    }
    assert (skipped.channel, skipped.answer) == ("console", "the console shows it")
    assert not any(each.late or "@" in each.answer for each in sent)
    mails = {str(each["To"]): each for each in office.mail.messages}
    assert set(mails) == {"ana@shop.example", "jonas@brightwater.example"}
    mail = mails["jonas@brightwater.example"]
    assert mail["Message-ID"] == f"<{office.prefix}{confirmation.notice_id}@shop.example>"
    assert (mail["From"], mail["Auto-Submitted"]) == ("Shop <desk@shop.example>", "auto-generated")
    [(path, headers, body)] = office.hooks.requests
    assert (path, headers["webhook-id"]) == ("/notices", urgent.notice_id)
    verified = Webhook("whsec_" + base64.b64encode(SECRET).decode()).verify(body, headers)
    assert verified["data"]["text"] == urgent.text
    await office.tell(office.notice())
    async with office.notify():  # another one goes on where this one was cut off
        await office.recorded(4, "sent")
    assert len(office.mail.messages) == 3 and len(office.hooks.requests) == 1


async def test_people_of_promoted_rules_are_told(office: Office) -> None:
    """Whom the rules in force name is written to from then on, and who answers for a queue by them."""
    office.mail.start()

    async def follow(obey: Callable[[dict[str, str], dict[str, str]], None]) -> None:
        obey({"ben": "ben@shop.example"}, {"manager": "ben"})

    async with office.notify(follow=follow):
        await office.tell(office.notice("ben"), office.notice("manager"), office.notice("ana"))
        await office.recorded(2, "sent")
    assert {each["To"] for each in office.mail.messages} == {"ben@shop.example"}


async def test_smtp_down(office: Office) -> None:
    """What could not be handed over is tried again, over a restart too, and comes once, marked late."""
    begun = time.time_ns() // 1_000_000
    await office.tell(*(office.notice() for _ in range(20)))
    async with office.notify():
        failed = await office.recorded(4, "failed")
    assert all(each.next_at is not None and each.next_at > each.at and not each.late for each in failed)
    office.mail.start()
    office.now = lambda: time.time_ns() // 1_000_000 + 3_600_000  # an hour later
    async with office.notify():
        sent = await office.recorded(20, "sent")
    assert all(each.late and each.at >= begun + 3_600_000 for each in sent)
    assert len(office.mail.messages) == len(set(office.subjects())) == 20
    assert all("This message is late" in str(each.get_payload()) for each in office.mail.messages)


async def test_a_crash_before_the_record(office: Office) -> None:
    """Cut off again and again: each notice that was recorded came once, and a copy has the same Message-ID."""
    office.mail.start()
    count = 60
    await office.tell(*(office.notice() for _ in range(count)))
    for patience_s in (0.3, 0.5, 0.7, 0.9):
        async with office.notify():
            before = len(office.mail.messages)
            await until(lambda before=before: _more(office, before), "some more mail")  # type: ignore[misc]
            await asyncio.sleep(patience_s / 10)
    async with office.notify():
        await until(lambda: _all_sent(office, count), "all to be sent")
    sent = [each.notice_id for each in await office.deliveries() if each.status == "sent"]
    assert len(sent) == len(set(sent)) == count
    ids = [str(each["Message-ID"]) for each in office.mail.messages]
    assert len(set(ids)) == count
    assert len(ids) - count <= 4 * 4, "only what was under way when it was cut off may come twice"


async def test_a_record_whose_acknowledgement_is_lost(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was recorded although Kafka seemed to go away before it said so is not recorded again, nor sent again."""
    lost: list[bytes] = []

    class Forgetful(AIOKafkaProducer):  # type: ignore[misc]
        async def send(self, topic: str, value: bytes, *rest: Any, **more: Any) -> Any:
            acknowledged = await super().send(topic, value, *rest, **more)
            if len(lost) == 3:
                return acknowledged
            lost.append(value)
            await acknowledged
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(KafkaConnectionError("gone before it said anything"))
            return failed

    monkeypatch.setattr("agents.notify.AIOKafkaProducer", Forgetful)
    office.mail.start()
    await office.tell(*(office.notice() for _ in range(6)))
    async with office.notify():
        await until(lambda: _all_sent(office, 6), "all to be sent")
        await office.tell(office.notice())
        await until(lambda: _all_sent(office, 7), "the last one")
    told = [each.delivery_id for each in await office.deliveries()]
    assert len(lost) == 3
    assert len(told) == len(set(told)) == 7
    assert len(office.mail.messages) == 7


async def _more(office: Office, before: int) -> bool:
    return len(office.mail.messages) > before or len(office.mail.messages) >= 60


async def _all_sent(office: Office, count: int) -> bool:
    return len({each.notice_id for each in await office.deliveries() if each.status == "sent"}) == count


async def test_endpoints_that_fail(office: Office) -> None:
    """An error is tried again, a redirect is no yes, 410 is never again; what a mail server refuses is dead at once."""
    office.mail.start()
    office.hooks.answers = [503, 302, 204]
    await office.tell(office.notice(kind="raised_hand", channels=()), office.notice("lost"))
    offset_ms = 0
    office.now = lambda: time.time_ns() // 1_000_000 + offset_ms
    async with office.notify():
        await office.recorded(1, "failed")
        offset_ms += 60_000
        await office.recorded(2, "failed")
        offset_ms += 120_000
        [sent] = await office.recorded(1, "sent")
        [dead] = await office.recorded(1, "dead")
        office.hooks.answers = [410]
        await office.tell(office.notice(kind="raised_hand", channels=()))
        await office.recorded(2, "dead")
    assert (sent.attempt, sent.late, sent.answer) == (3, True, "204 No Content")
    assert (dead.target, dead.attempt, dead.answer) == ("lost", 1, "550 5.1.1 … no such user")
    assert [path for path, _, _ in office.hooks.requests] == ["/notices"] * 4
    assert len({headers["webhook-id"] for _, headers, _ in office.hooks.requests[:3]}) == 1


async def test_two_share_the_work(office: Office) -> None:
    """Of two processes each delivers its partitions; when one leaves the other takes over, and nothing comes twice."""
    office.mail.start()
    async with office.notify():
        async with office.notify():
            await office.tell(*(office.notice(to) for _ in range(10) for to in ("ana", "manager")))
            await office.recorded(20, "sent")
        await office.tell(*(office.notice(to) for _ in range(5) for to in ("ana", "manager")))
        await office.recorded(30, "sent")
    assert len(office.mail.messages) == 30


async def test_nothing_is_configured(office: Office) -> None:
    """Without mail server and endpoints all notices are recorded as skipped; a hand that is gone is no error either."""
    await office.tell(office.notice(), office.notice("visitor", "confirmation"))
    async with office.notify(mailbox=None, endpoints=()) as notify:
        skipped = await office.recorded(2, "skipped")
        await until(lambda: _idle(notify), "nothing to be left")
    assert {each.channel for each in skipped} == {"none"}
    office.mail.start()
    gone = msgspec.structs.replace(office.notice("visitor", "confirmation"), notice_id="desk-0-999999-0")
    await office.tell(gone)
    async with office.notify():
        [dead] = await office.recorded(1, "dead")
    assert dead.answer == "there is no address"


async def _idle(notify: Notify) -> bool:
    return notify.not_ready() == [] and notify.metrics.pending.collect()[0].samples[0].value == 0
