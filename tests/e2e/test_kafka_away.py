"""Kafka away, by kill -9: nothing that was acknowledged is lost, nothing is doubled, and all recovers by itself."""

import itertools
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx

from deploy.local import Kafka
from schemas.codec import decode
from schemas.records import Engagement
from tests.e2e.books import audit
from tests.e2e.deployment import Deployment, Supervisor, until
from tests.e2e.reading import rows
from tests.e2e.tally import Tally

POSTERS, LEADS = 8, 400
EVENTS = ("Document Downloaded", "Trial Started", "Webinar Registered", "Project Created", "Products Searched")


class Poster(threading.Thread):
    """A tracker: posts one event after the other, each again until it is acknowledged, as SDKs do."""

    def __init__(self, url: str, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._url, self._number, self._stopped = url, number, stop
        self.acknowledged: list[str] = []
        self.refused: list[httpx.Response] = []
        self.unanswered = 0

    def run(self) -> None:
        """Post until told to stop."""
        with httpx.Client(auth=httpx.BasicAuth("demo", ""), timeout=15) as client:
            for count in itertools.count():
                if self._stopped.is_set():
                    return
                self._post(client, count)

    def _post(self, client: httpx.Client, count: int) -> None:
        event: dict[str, Any] = {
            "messageId": f"{self._number}-{count}",
            "userId": f"user-{(count * POSTERS + self._number) % LEADS}",
            "event": EVENTS[count % len(EVENTS)],
            "properties": {"id": f"thing-{count}"},
        }
        while not self._stopped.is_set():
            try:
                answer = client.post(f"{self._url}/v1/track", content=json.dumps(event))
            except httpx.HTTPError:
                self.unanswered += 1
                continue
            if answer.status_code == 200:
                self.acknowledged.append(event["messageId"])
                return
            self.refused.append(answer)
            self._stopped.wait(float(answer.headers["retry-after"]))


def test_kafka_killed_and_started_again(own_kafka: Callable[..., Kafka], deploy: Callable[..., Deployment]) -> None:
    """Every event answered with 200 is scored exactly once; gateway and worker recover by themselves."""
    broker = own_kafka()
    place = deploy(kafka=broker.bootstrap)
    place.create_topics()
    worker, gateway = Supervisor(place, place.worker), Supervisor(place, place.gateway)
    worker.child.await_ready()
    url, stop = gateway.child.await_ready().url(), threading.Event()
    posters = [Poster(url, number, stop) for number in range(POSTERS)]
    for poster in posters:
        poster.start()

    def acknowledged() -> int:
        return sum(len(poster.acknowledged) for poster in posters)

    until(lambda: acknowledged() >= 200, "a steady flow")
    broker.kill()
    until(lambda: all(poster.refused for poster in posters), "trackers to be told 503")
    status, why = gateway.child.readiness()
    assert status == 503, why
    assert "Kafka" in why
    until(lambda: not worker.ready(), "the worker to say that it cannot work")
    at_the_worst = acknowledged()
    broker.start()
    until(lambda: acknowledged() >= at_the_worst + 400, "the flow to go on")
    stop.set()
    for poster in posters:
        poster.join(30)
        assert {answer.status_code for answer in poster.refused} == {503}
    until(lambda: gateway.ready() and worker.ready(), "both to be ready again")
    assert gateway.restarts == 0

    inbox = [decode(row.value or b"") for row in rows(place.kafka, place.topic("lead.events"))]
    arrived = {it.message_id for it in inbox if isinstance(it, Engagement)}
    assert {each for poster in posters for each in poster.acknowledged} <= arrived
    with Tally(place) as tally:
        until(lambda: tally.scored().total() == len(arrived), "all events to be scored")
    worker.stop()
    gateway.stop()
    audit(place)
