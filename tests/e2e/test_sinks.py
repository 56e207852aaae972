"""From a raised hand to mail and read side, as an operator runs it: real processes, killed in between."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from schemas import readside as keys
from schemas.codec import decode
from schemas.records import Assignment, RaisedHand
from tests.agents.post_office import MailServer
from tests.e2e.deployment import Deployment, call, until
from tests.e2e.reading import rows
from tests.e2e.test_desk import ALWAYS, post, rules


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server."""
    server = MailServer().start()
    yield server
    server.stop()


class Known:
    """What stands on the read side."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis: Redis = Redis.from_url(url)
        self._prefix = prefix

    def base(self) -> str:
        """What keys begin with now."""
        generation = self._redis.get(keys.current(self._prefix))
        return keys.base(self._prefix, int(generation or 0))  # type: ignore[arg-type]

    def open_hands(self) -> list[Assignment]:
        """Open raised hands, the most urgent first."""
        ids = self._redis.zrange(self.base() + keys.open_requests("hands"), 0, -1)
        found = [self._redis.hget(self.base() + keys.request(each.decode()), "assignment") for each in ids]  # type: ignore[union-attr]
        return [read for each in found if isinstance(read := decode(each or b""), Assignment)]  # type: ignore[arg-type]


def ask(number: int, email: str) -> dict[str, object]:
    """Somebody asks to be called, from a device that nobody has seen."""
    form = {"email": email, "name": "Jonas Vik", "country": "DK"}
    return call("track", f"ask-{number}", event="Call Requested", anonymousId=f"device-{number}", properties=form)


def test_from_a_hand_to_mail_and_read_side(
    deploy: Callable[..., Deployment], redis_url: str, mail: MailServer, tmp_path: Path
) -> None:
    """The visitor is told who calls, the read side knows the request, and a second hand is stamped with the owner.

    mirror and notify are killed in between: nothing is missing afterwards, and nobody got a mail twice.
    """
    place = deploy(partitions=2)
    place.env |= {"HANDRAISE_REDIS": redis_url, "HANDRAISE_RULES": rules(tmp_path / "rules", ALWAYS)}
    with Path(place.env["HANDRAISE_SECRETS"]).open("a") as file:
        file.write(f'[channels.email]\nserver = "127.0.0.1:{mail.port}"\nsender = "desk@harbourlight.example"\n')
        file.write('encryption = "none"\n')
    place.create_topics()
    gateway, desk = place.gateway(), place.worker(role="desk")
    sinks = [place.worker(role=role) for role in ("mirror", "notify")]
    for child in (gateway, desk, *sinks):
        child.await_ready()
    known = Known(redis_url, place.prefix)
    jonas = "jonas@brightwater.example"
    post(gateway.url(), ask(1, jonas))
    [first] = until(known.open_hands, "the read side to know the request")
    until(lambda: mail.messages, "a mail to the visitor")
    for sink in sinks:
        sink.kill()
    numbers = itertools.count(2)

    def stamped() -> RaisedHand | None:
        """Ask again; the hand, if the read side knew it in time: a busy machine may let the limit pass."""
        post(gateway.url(), ask(next(numbers), jonas))
        hands = [decode(row.value or b"") for row in rows(place.kafka, place.topic("desk.events"))]
        return next((each for each in hands if isinstance(each, RaisedHand) and each.owner), None)

    second = until(stamped, "a hand with its owner")
    assert (second.owner, second.score_millipoints) == (first.owner, None)
    count = next(numbers) - 1
    sinks = [place.worker(role=role) for role in ("mirror", "notify")]
    until(lambda: len(known.open_hands()) == count, "the read side to know what came meanwhile")
    until(lambda: len(mail.messages) == count, "a mail for each hand")
    rebuilt = place.run("rebuild-read-side", "--json")
    assert (rebuilt.returncode, json.loads(rebuilt.stdout)["generation"]) == (0, 2)
    assert len(known.open_hands()) == count
    for child in (gateway, desk, *sinks):
        child.stop()
    assert [str(each["To"]) for each in mail.messages] == [jonas] * count
    assert all(each["Message-ID"].startswith(f"<{place.prefix}desk-0-") for each in mail.messages)
