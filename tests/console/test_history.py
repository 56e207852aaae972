"""One contract for the read side in memory, which the console's tests stand on, and the real one in Redis."""

from collections.abc import Iterator

import pytest
from redis import Redis

from console.history import Away, History
from console.reader import now_ms
from console.redis_history import RedisHistory
from schemas import readside as keys
from schemas.codec import decode, encode
from schemas.records import Assignment, LeadAlert, LeadDuplicate, LeadState, LeadTransition, Notice, Record
from streams.readside import fold
from streams.readside_batch import Batch
from streams.state import Moved
from streams.state import encode as encode_state
from tests.console.leads import ID, elif_demir, elif_says
from tests.console.memory import MemoryHistory
from tests.streams.desk.harness import Box, did, hand, here, lead, waited

NOW = now_ms() // 1_000 * 1_000
DEVICE = "a_bbbbbbbbbbbbbbbb"
TOPICS: dict[type, str] = {
    Assignment: "lead.assignments",
    LeadAlert: "lead.alerts",
    LeadDuplicate: "lead.duplicates",
    LeadState: "lead.state",
    LeadTransition: "lead.transitions",
    Notice: "desk.notices",
}


def story() -> list[Record]:
    """Four hands, one of them nobody's yet; a hot lead; what people said; what the desk made of it."""
    box, told = Box(now=NOW - 60_000), list[Record]()
    steps: list[Record] = [
        hand(1, "u:jonas", at=NOW - 60_000),
        hand(2, "u:marta", at=NOW - 59_000, name="Marta Lind", company="Northfjord", email="marta@northfjord.example"),
        hand(3, "u:spam", at=NOW - 58_000, verdict="suspect", verdict_reasons=("a hidden field is filled",)),
        waited(0, "u:elif", at=NOW - 57_000),
        here("ceyda", "off", at=NOW - 56_000),
        did(1, "ben", "accept", 1, at=NOW - 50_000),
        did(2, "ben", "contacted", 1, at=NOW - 40_000),
        did(3, "mert", "accept", 2, at=NOW - 30_000),
    ]
    for place, step in enumerate(steps):
        before = len(box.outputs)
        box.get(step, at=NOW - 60_000 + place)
        told.append(step)
        told += [decode(each.value) for each in box.outputs[before:] if each.topic in TOPICS.values()]
    told.append(hand(4, "u:late", at=NOW - 1_000, name="Late Comer"))
    told += [decode(each.value) for each in elif_says(NOW // 1_000) if each.topic in TOPICS.values()]
    pair = ("m_dddddddddddddddd", "mailbox", ID, lead("u:jonas"))
    told.append(LeadDuplicate(*pair, "suspected", NOW, "the same mailbox", 0, 0))
    return told


def in_memory(_: str) -> Iterator[History]:
    """Everything told, looked through."""
    history = MemoryHistory()
    history.tell(*story())
    history.remember(ID, elif_demir(NOW // 1_000)[1])
    history.remember(DEVICE, encode_state(Moved(ID, 0, 0)))
    yield history


def in_redis(url: str, prefix: str) -> Iterator[History]:
    """What mirror would have written."""
    redis, batch = Redis.from_url(url), Batch()
    for record in story():
        topic = TOPICS.get(type(record), "desk.events")
        key = record.lead_id.encode() if isinstance(record, LeadState | LeadTransition | LeadAlert) else b""
        if isinstance(record, LeadDuplicate):
            key = f"{record.evidence_id}:{record.lead_id}:{record.other_id}".encode()
        batch.add(fold(topic, key, encode(record), NOW))
    memories = ((ID, elif_demir(NOW // 1_000)[1]), (DEVICE, encode_state(Moved(ID, 0, 0))))
    for id, memory in memories:
        batch.add(fold("leads.changelog", id.encode(), memory, NOW))
    for command in batch.commands(keys.base(prefix, 7)):
        redis.execute_command(*command)
    redis.hset(keys.base(prefix, 7) + keys.HEALTH, mapping={"seen": now_ms(), "lag": 0})
    redis.set(keys.current(prefix), 7)
    yield RedisHistory(url, prefix)


@pytest.fixture(params=["memory", "redis"])
def history(request: pytest.FixtureRequest, prefix: str) -> Iterator[History]:
    """The read side after the story."""
    if request.param == "memory":
        yield from in_memory(prefix)
    else:
        yield from in_redis(request.getfixturevalue("redis_url"), prefix)


async def test_open_requests(history: History) -> None:
    """By owner, by queue and all, hands apart from leads, the most urgent first."""
    hands = await history.open_requests("hands", "all", 10)
    assert sorted(each.id for each in hands) == [f"{2:016x}", f"{3:016x}"]
    dues = [each.assignment.due_at for each in hands if each.assignment and each.assignment.due_at]
    assert dues == sorted(dues)
    assert [each.id for each in await history.open_requests("hands", "rep:mert", 10)] == [f"{2:016x}"]
    assert await history.open_requests("hands", "rep:ben", 10) == []
    assert [each.id for each in await history.open_requests("hands", "queue:check", 10)] == [f"{3:016x}"]
    (hot,) = await history.open_requests("leads", "all", 10)
    assert hot.id == "w0-0"
    assert hot.waiting
    assert hot.waiting.lead_id == lead("u:elif")
    assert len(await history.open_requests("hands", "all", 1)) == 1
    assert hot.assignment
    assert await history.loads(["mert", "nobody"]) == {"mert": (1, 0), "nobody": (0, 0)}
    assert (await history.loads([str(hot.assignment.owner)])) == {str(hot.assignment.owner): (0, 1)}


async def test_pending(history: History) -> None:
    """A hand that nobody has decided about yet."""
    assert [each.id for each in await history.pending(10)] == [f"{4:016x}"]


async def test_one_request(history: History) -> None:
    """With its hand, its last word, and when somebody first touched it."""
    found = await history.request(f"{1:016x}")
    assert found
    assert found.hand
    assert found.assignment
    assert (found.hand.name, found.assignment.status, found.touched) == ("Jonas Vik", "contacted", NOW - 60_000 + 5)
    assert await history.request("ffffffffffffffff") is None
    served = await history.last_served()
    assert served
    assert served.id == found.id


async def test_leads(history: History) -> None:
    """State, alert, memory and owner, under the id that stands now."""
    assert await history.standing(DEVICE) == ID
    assert await history.standing("u_cccccccccccccccc") == "u_cccccccccccccccc"
    found = await history.leads([ID, lead("u:jonas"), "u_cccccccccccccccc"])
    assert set(found) == {ID, lead("u:jonas")}
    assert found[ID].state
    assert found[ID].state.hot
    assert found[ID].alert
    assert found[ID].memory == elif_demir(NOW // 1_000)[1]
    assert found[lead("u:jonas")].owner == "ben"
    assert await history.hot(10) == [ID]
    assert [each.lead_id for each in await history.alerts(10)] == [ID]


async def test_what_was_asked_and_what_happened(history: History) -> None:
    """Requests of a person, and a timeline with the latest first."""
    asked = await history.requests_of([lead("u:jonas"), lead("u:marta")])
    assert [each.id for each in asked] == [f"{2:016x}", f"{1:016x}"]
    happened = await history.timeline([ID], [f"{1:016x}"], 50)
    kinds = {type(each).__name__ for each in happened}
    assert {"LeadTransition", "LeadAlert", "Assignment", "Activity", "Notice"} <= kinds
    assert len(await history.timeline([ID], [f"{1:016x}"], 3)) == 3
    (suspicion,) = await history.duplicates(ID)
    assert suspicion.cause == "the same mailbox"
    assert await history.duplicates(lead("u:jonas")) == [suspicion]


async def test_search(history: History) -> None:
    """All words, each by its beginning."""
    jonas = lead("u:jonas")
    assert jonas in await history.search("jon", 10)
    assert await history.search("marta lind", 10) == [lead("u:marta")]
    assert await history.search("kestrel", 10) == [ID]
    assert await history.search("marta vik", 10) == []
    assert await history.search(" ", 10) == []


async def test_presence(history: History) -> None:
    """The last that each person said."""
    assert {id: each.state for id, each in (await history.presence()).items()} == {"ceyda": "off"}


async def test_up_to_date(history: History) -> None:
    """Nothing is to be said of a history that is written and has no lag."""
    assert await history.behind(now_ms()) == ""


async def test_a_redis_that_does_not_answer_is_asked_once(prefix: str) -> None:
    """A page has many questions: after the first that fails the others fail at once."""
    history = RedisHistory("redis://127.0.0.1:1", prefix)
    assert await history.behind(0) == "the history does not answer"
    with pytest.raises(Away, match="does not answer"):
        await history.pending(1)
    await history.close()


async def test_a_history_that_is_filled_for_the_first_time_says_so(redis_url: str, prefix: str) -> None:
    """Without a generation to read nothing is known yet; with one that nobody writes, it is old."""
    history = RedisHistory(redis_url, prefix)
    assert await history.behind(0) == "the history is being gathered for the first time"
    redis = Redis.from_url(redis_url)
    redis.set(keys.current(prefix), 1)
    assert await history.behind(now_ms()) == "nobody writes the history at present"
    redis.hset(keys.base(prefix, 1) + keys.HEALTH, mapping={"seen": now_ms(), "lag": 2_000})
    assert await history.behind(now_ms()) == "2,000 records are still to be read"
    await history.close()
