"""A deployment is renewed process by process, and its Redis is killed, while SDKs send: nobody sees an error."""

import asyncio
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from segment.analytics.client import Client

from deploy.redis_server import start_redis
from schemas.codec import decode
from schemas.records import Engagement, RaisedHand
from tests.agents.readside import PARTITIONS, Readside
from tests.e2e.books import audit
from tests.e2e.deployment import Child, Deployment, until
from tests.e2e.front import Front
from tests.e2e.reading import rows
from tests.e2e.tally import Tally
from tests.e2e.test_desk import ALWAYS, rules

EVENTS = ("Document Downloaded", "Trial Started", "Webinar Registered", "Project Created", "Products Searched")
DRAIN_S = 2


class Site(threading.Thread):
    """A server with Segment's SDK, unmodified, that tells what its visitors do; some of them ask to be called."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self.failures: list[object] = []
        self.told = 0
        self._number, self._ended = number, threading.Event()
        self._client = Client(
            "demo", host=url, on_error=lambda error, batch: self.failures.append(error), upload_interval=0.1
        )

    def run(self) -> None:
        """Tell until stopped; then all has been sent."""
        for count in itertools.count():
            if self._ended.wait(0.02):
                break
            who, thing = f"user-{self._number}-{count % 50}", {"id": f"thing-{count}"}
            if count % 100 == 99:
                form = {"email": f"{who}@brightwater.example", "name": who, "country": "DK"}
                self._client.track(who, "Call Requested", form)
            else:
                self._client.track(who, EVENTS[count % len(EVENTS)], thing)
            self.told += 1
        self._client.flush()
        self._client.join()

    def stop(self) -> None:
        """Return when all has been sent."""
        self._ended.set()
        self.join(60)


def test_everything_is_restarted_while_sdks_send(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    """Two gateways and two workers, one after the other; then Redis, by kill -9.

    Each answer is 200 and each event is there once; scores equal the oracle's, the read side what the topics say, and a
    rebuilt one, too.
    """
    place, redis = deploy(partitions=PARTITIONS), start_redis(tmp_path / "redis")
    place.env |= {"HANDRAISE_REDIS": redis.url, "HANDRAISE_RULES": rules(tmp_path / "rules", ALWAYS)}
    place.env["HANDRAISE_DRAIN"] = str(DRAIN_S)
    place.create_topics()
    gateways = [place.gateway() for _ in range(2)]
    workers = [place.worker(), place.worker(), place.worker(role="desk"), place.worker(role="mirror")]
    for child in (*gateways, *workers):
        child.await_ready()
    with Front([each.url() for each in gateways]) as front, Tally(place) as tally:
        until(lambda: front.ready() == 2, "the front to see both gateways")
        sites = [Site(front.url, number) for number in range(3)]
        for site in sites:
            site.start()

        def goes_on() -> None:
            before = tally.scored().total()
            until(lambda: tally.scored().total() > before + 100, "events to be scored")

        goes_on()
        for number, gateway in enumerate(gateways):
            gateways[number] = _renewed(place, gateway, HANDRAISE_GATEWAY=gateway.url().removeprefix("http://"))
            until(lambda: front.ready() == 2, "the front to see both gateways")
        for number, worker in enumerate(workers[:2]):
            workers[number] = _renewed(place, worker)
            goes_on()
        redis.kill()
        goes_on()
        redis.start()
        goes_on()
        for site in sites:
            site.stop()
        assert [site.failures for site in sites] == [[]] * len(sites)
        assert (set(front.statuses), front.lost) == ({200}, 0)

        told = sum(site.told for site in sites)
        until(lambda: tally.folded() >= told, "all events to be scored")
    asyncio.run(_compared(place, redis.url))
    for worker in workers:
        worker.stop()
    redis.kill()
    inbox = [decode(row.value or b"") for row in rows(place.kafka, place.topic("lead.events"))]
    hands = [decode(row.value or b"") for row in rows(place.kafka, place.topic("desk.events"))]
    counts = Counter(each.message_id for each in inbox if isinstance(each, Engagement))
    assert len(counts) == told
    assert set(counts.values()) == {1}
    assert sum(isinstance(each, RaisedHand) for each in hands) == sum(site.told // 100 for site in sites)
    audit(place)
    audited = place.run("audit", "--json")
    assert (audited.returncode, json.loads(audited.stdout)["problems"]) == (0, [])


def _renewed(place: Deployment, child: Child, **env: str) -> Child:
    """End it as an operator would; another one with the same words in its place."""
    child.stop()
    return place.start(*child.words, **env).await_ready()


async def _compared(place: Deployment, url: str) -> None:
    """The read side against a naive count of the topics; then a rebuilt one."""
    side = Readside(place.kafka, url, place.prefix)
    await side.until_equal()
    rebuilt = await asyncio.to_thread(place.run, "rebuild-read-side", "--json")
    assert rebuilt.returncode == 0, rebuilt.stderr
    await side.until_equal()
    assert json.loads(rebuilt.stdout)["generation"] == side.generation()
    side.redis.close()
