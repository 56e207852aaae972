"""One recording of a deployment, which the tests of this folder share."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from handraise import rules, settings
from handraise.replay.recorded import recorded
from handraise.rules import RuleSet
from tests.e2e.deployment import ROOT, Deployment
from tests.handraise.replay.copies import Copy, copy
from tests.handraise.replay.recording import record


@dataclass
class Recording:
    """A deployment that has ended, what its topics hold, and what was told of it while it was at work."""

    place: Deployment
    copy: Copy
    rules: RuleSet
    alive: dict[str, Any]
    """The JSON of a verification while workers and clocks went on."""


def settings_of(place: Deployment) -> settings.Settings:
    """The settings of its commands."""
    return settings.read({name: value for name, value in place.env.items() if name.startswith("HANDRAISE_")})


@pytest.fixture(scope="session")
def recording(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """Made once; nobody changes it."""
    folder = tmp_path_factory.mktemp("recording")
    with Deployment(kafka, f"replay{secrets.token_hex(4)}.", folder) as place:
        alive: list[str] = []
        record(place, lambda: alive.append(place.run("replay", "--verify", "--json").stdout))

        async def take() -> Copy:
            async with recorded(settings_of(place)) as topics:
                return await copy(topics)

        yield Recording(place, asyncio.run(take()), rules.load(ROOT / "rules"), json.loads(alive[0]))
