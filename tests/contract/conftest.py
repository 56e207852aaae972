"""Each law of the contract is checked on the log in memory and on a real Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.bench import Bench, KafkaBench, MemoryBench


@pytest.fixture(params=["memory", "kafka"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """One of the two logs."""
    made: Bench
    if request.param == "memory":
        made = MemoryBench()
    else:
        made = await KafkaBench(request.getfixturevalue("kafka"), request.getfixturevalue("prefix")).start()
    yield made
    await made.close()
