"""A whole deployment under chaos: its rules, its topics, and every process of it under a supervisor."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy import probe
from deploy.broker import Kafka
from deploy.redis_server import Redis
from handraise.demo import shifts
from schemas.topics import TOPICS, physical
from tests.chaos.workers import READY, Supervised, leads_worker
from tests.e2e.story import SECRET

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "chaos."
PARTITIONS = 4
ROLES = ("gateway", "leads", "desk", "mirror", "notify", "console")
HOOK = "crm"
"""The name of the endpoint that is told everything."""
_LIVELY = {
    "segment.ms": "5000",
    "segment.bytes": str(1 << 20),
    "min.cleanable.dirty.ratio": "0.01",
    "min.compaction.lag.ms": "0",
}
"""What makes Kafka compact while we look."""
_SERVES = (b'"event": "gateway serves"', b'"event": "console serves"')
_MIRRORS = (b'"event": "filled"', b'"event": "the read side is kept"')
_DELIVERS = (b'"event": "delivering"',)


def environment(bootstrap: str, prefix: str, rules: Path) -> dict[str, str]:
    """The environment of a deployment's processes."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HANDRAISE_")}
    env |= {"HANDRAISE_KAFKA": bootstrap, "HANDRAISE_PARTITIONS": str(PARTITIONS), "HANDRAISE_PREFIX": prefix}
    return env | {"HANDRAISE_RULES": str(rules), "PYTHONPATH": str(ROOT)}


async def handraise(env: dict[str, str], *words: str) -> tuple[int, bytes]:
    """Run a command of the real command line to its end; its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "handraise", *words), env=env, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said


def hurried_rules(folder: Path) -> Path:
    """The shipped rules with shorter times: a day of ticks lets leads cool and anonymous ones expire.

    Somebody is on shift at every hour.
    """
    shifts.copy(ROOT / "rules", folder)
    for name, pattern, value in (
        ("model.toml", r"half_life_days = \d+", "half_life_days = 3"),
        ("model.toml", r"anonymous_idle_days = \d+", "anonymous_idle_days = 1"),
        ("alerts.toml", r"cool_below = \d+", "cool_below = 57"),
        ("alerts.toml", r"cooldown_days = \d+", "cooldown_days = 1"),
    ):
        text, count = re.subn(pattern, value, (folder / name).read_text())
        assert count > 0, f"{name} has no {pattern}"
        (folder / name).write_text(text)
    return folder


def other_points(rules: Path, folder: Path) -> Path:
    """Copy rules, with other points for what is frequent, and another half-life."""
    shutil.copytree(rules, folder)
    file = folder / "model.toml"
    frequent = re.compile(r'(id = "(?:page_view|research_page|email_click)".*?points = )\d+', re.DOTALL)
    text, count = frequent.subn(r"\g<1>3", file.read_text())
    assert count == 3
    file.write_text(text.replace("half_life_days = 3", "half_life_days = 4"))
    return folder


class Company:
    """Broker, Redis, and all roles: two gateways, two workers of leads and a guest, two desks, and one of each other.

    `hook`: the URL of the endpoint that notices go to.
    """

    def __init__(self, broker: Kafka, redis: Redis, folder: Path, hook: str) -> None:
        self.broker, self.redis, self.folder = broker, redis, folder
        self.rules = hurried_rules(folder / "rules")
        secrets = folder / "secrets.toml"
        hook_secret = base64.b64encode(bytes(32)).decode()
        secrets.write_text(
            f'id_key = "{base64.b64encode(SECRET).decode()}"\n'
            f'[[channels.webhook]]\nname = "{HOOK}"\nurl = "{hook}"\nsecret = "whsec_{hook_secret}"\n'
        )
        self.rule_sets = [self.rules, other_points(self.rules, folder / "other-rules")]
        self.versions: list[str] = []
        """Those of the rule sets, as they were published; they are promoted in turns."""
        self.env = environment(broker.bootstrap, PREFIX, self.rules)
        self.env |= {"HANDRAISE_REDIS": redis.url, "HANDRAISE_SECRETS": str(secrets)}
        gateways = [f"127.0.0.1:{probe.free_port()}" for _ in range(2)]
        console = f"127.0.0.1:{probe.free_port()}"
        self.gateways, self.console = [f"http://{each}" for each in gateways], f"http://{console}"
        self.crew: dict[str, list[Supervised]] = {
            "gateway": [
                Supervised(f"gateway-{n}", self.env | {"HANDRAISE_GATEWAY": at}, folder, ("gateway",), _SERVES)
                for n, at in enumerate(gateways)
            ],
            "leads": [leads_worker(f"leads-{n}", self.env, folder) for n in range(2)],
            "desk": [self._worker(f"desk-{n}", "desk", (READY,)) for n in range(2)],
            "mirror": [self._worker("mirror", "mirror", _MIRRORS)],
            "notify": [self._worker("notify", "notify", _DELIVERS)],
            "console": [
                Supervised("console", self.env | {"HANDRAISE_CONSOLE": console}, folder, ("console",), _SERVES)
            ],
        }
        assert tuple(self.crew) == ROLES
        self.guest = leads_worker("leads-guest", self.env, folder, is_static=False)

    def _worker(self, name: str, role: str, ready: tuple[bytes, ...]) -> Supervised:
        return Supervised(name, self.env, self.folder, ("worker", role), ready)

    async def open(self) -> None:
        """Make the topics, have Kafka compact them at every occasion, and start everybody."""
        code, _ = await handraise(self.env, "topics", "create")
        assert code == 0
        await self._compact_at_once()
        for rules in self.rule_sets:
            code, said = await handraise(self.env, "rules", "publish", str(rules), "--json")
            assert code == 0
            self.versions.append(json.loads(said)["version"])
        for process in self._everybody():
            if process is not self.guest:
                process.start()

    async def _compact_at_once(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        await admin.start()
        try:
            await admin.alter_configs(
                [
                    ConfigResource(ConfigResourceType.TOPIC, physical(each.name, PREFIX), {**each.config, **config})
                    for each in TOPICS
                    if each.cleanup == "compact"
                    for config in [{"cleanup.policy": "compact", **_LIVELY}]
                ]
            )
        finally:
            await admin.close()

    async def promote(self) -> None:
        """Put the other rule set in force; said again until it is."""
        self.versions.reverse()
        while (await handraise(self.env, "rules", "promote", self.versions[0]))[0]:  # noqa: ASYNC110 - it says so
            await asyncio.sleep(1)

    async def close(self, *roles: str) -> None:
        """End these roles for good."""
        leaving = [process for role in roles for process in self.crew[role]]
        await asyncio.gather(*(process.stop() for process in leaving))
        if "leads" in roles:
            await self.guest.stop()

    def wipe_redis(self) -> None:
        """Kill Redis and start it with nothing."""
        self.redis.kill()
        shutil.rmtree(self.redis.folder / "appendonlydir")
        self.redis.start()

    def ends(self) -> dict[str, dict[str, int]]:
        """How the processes of each role ended: exit codes, negative for signals."""
        found: dict[str, Counter[str]] = {role: Counter() for role in ROLES}
        for role, processes in (*self.crew.items(), ("leads", [self.guest])):
            for process in processes:
                found[role].update({str(code): count for code, count in process.ends.items()})
        return {role: dict(codes) for role, codes in found.items()}

    def _everybody(self) -> list[Supervised]:
        return [*(process for processes in self.crew.values() for process in processes), self.guest]
