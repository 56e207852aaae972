"""A steady flow of events through gateway and worker while the broker is broken and mended."""

from __future__ import annotations

import itertools
import json
import threading
from typing import Any

import httpx

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
                continue
            if answer.status_code == 200:
                self.acknowledged.append(event["messageId"])
                return
            self.refused.append(answer)
            self._stopped.wait(float(answer.headers["retry-after"]))


class Flow:
    """Trackers, a gateway and a worker, the two under supervisors."""

    def __init__(self, place: Deployment) -> None:
        place.create_topics()
        self._place, self._stop = place, threading.Event()
        self.worker, self.gateway = Supervisor(place, place.worker), Supervisor(place, place.gateway)
        self.worker.child.await_ready()
        url = self.gateway.child.await_ready().url()
        self._posters = [Poster(url, number, self._stop) for number in range(POSTERS)]
        for poster in self._posters:
            poster.start()
        self.until_more(200)

    def _acknowledged(self) -> int:
        return sum(len(poster.acknowledged) for poster in self._posters)

    def until_more(self, count: int) -> None:
        """Return when so many more events were answered 200."""
        wanted = self._acknowledged() + count
        until(lambda: self._acknowledged() >= wanted, "a steady flow")

    def until_refused(self) -> None:
        """Return when every tracker was told 503."""
        until(lambda: all(poster.refused for poster in self._posters), "trackers to be told 503")

    def close(self) -> None:
        """End it: whatever was answered 200 has arrived, and all that arrived is scored, once."""
        self._stop.set()
        for poster in self._posters:
            poster.join(30)
            assert {answer.status_code for answer in poster.refused} == {503}
        until(lambda: self.gateway.ready() and self.worker.ready(), "both to be ready again")
        assert self.gateway.restarts == 0
        inbox = [decode(row.value or b"") for row in rows(self._place.kafka, self._place.topic("lead.events"))]
        arrived = {it.message_id for it in inbox if isinstance(it, Engagement)}
        assert {each for poster in self._posters for each in poster.acknowledged} <= arrived
        with Tally(self._place) as tally:
            until(lambda: tally.scored().total() == len(arrived), "all events to be scored")
        self.worker.stop()
        self.gateway.stop()
        audit(self._place)
