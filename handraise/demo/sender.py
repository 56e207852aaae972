"""The visitors' trackers: Segment's batch protocol over real HTTP, with retries as SDKs make them."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from handraise.clock import now_ms
from handraise.demo.story import Act, iso
from handraise.failure import CHECK_FAILED, Failure
from handraise.settings import Address

WRITE_KEY = "demo"
THREADS = 4
_REQUEST_S = 15.0
_PATIENCE_S = 60.0
_OK = 200
_LATER = (429, 503)


class Sender:
    """Posts batches over a few connections that stay open; `close` ends them."""

    def __init__(self, gateway: Address) -> None:
        self._gateway = gateway
        self._pool = ThreadPoolExecutor(THREADS, "tracker")
        self._local = threading.local()

    async def post(self, acts: Sequence[Act]) -> None:
        """Deliver; returns when the gateway has answered 200.  Raises Failure when it refuses or stays away."""
        await asyncio.get_running_loop().run_in_executor(self._pool, self._deliver, acts)

    def close(self) -> None:
        """Wait for what is on its way."""
        self._pool.shutdown()

    def _deliver(self, acts: Sequence[Act]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        pause_s = 0.1
        while True:
            try:
                status, answer = self._once(acts)
            except (OSError, http.client.HTTPException) as error:
                self._local.connection = None
                status, answer = 0, repr(error)
            if status == _OK:
                return
            if (status and status not in _LATER) or time.monotonic() > deadline:
                raise Failure(
                    f"the gateway does not take events: {answer[:200]}",
                    f"http://{self._gateway}/v1/batch",
                    "read the gateway's log, which the demo names above",
                    CHECK_FAILED,
                )
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)

    def _once(self, acts: Sequence[Act]) -> tuple[int, str]:
        link = getattr(self._local, "connection", None)
        if link is None:
            link = self._local.connection = http.client.HTTPConnection(*self._gateway, timeout=_REQUEST_S)
        # sentAt is the tracker's own clock at this moment; by it the gateway corrects the events' times.
        sent_at = iso(now_ms())
        body = json.dumps({"batch": [act.payload() for act in acts], "sentAt": sent_at, "writeKey": WRITE_KEY})
        link.request("POST", "/v1/batch", body.encode(), {"Content-Type": "application/json"})
        response = link.getresponse()
        return response.status, response.read().decode(errors="replace")
