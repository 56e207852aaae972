"""`handraise doctor`: is all there that this machine needs to run Handraise?"""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from rich.text import Text

from deploy import probe, tools
from handraise import access, keyfile, output, rules, serve, topics
from handraise.failure import Failure
from handraise.settings import ROOT, Address, Settings
from streams.compiled import IS_COMPILED

_OLDEST_PYTHON = (3, 11)


class Finding(NamedTuple):
    """What one look showed; `remedy` is empty where all is well."""

    name: str
    what: str
    where: str
    remedy: str

    @property
    def ok(self) -> bool:
        """Whether nothing is to be mended."""
        return not self.remedy


def examine(settings: Settings) -> Iterator[Finding]:
    """One finding after the other, as they are made."""
    yield _python()
    yield _kernel()
    if "HANDRAISE_KAFKA" not in settings.given:
        yield _java()
    kafka = _kafka(settings)
    yield kafka
    if kafka.ok:
        yield _topics(settings)
    yield _redis(settings)
    yield _port("gateway", "HANDRAISE_GATEWAY", settings.gateway)
    yield _port("console", "HANDRAISE_CONSOLE", settings.console)
    yield _secrets(settings)
    yield _passwords(settings)
    yield _rules(settings)
    yield _browser_build()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    remedy = "" if sys.version_info >= _OLDEST_PYTHON else "install Python 3.11 or newer, then `make setup`"
    return Finding("python", version, sys.executable, remedy)


def _kernel() -> Finding:
    """The lead fold publishes the same either way, so that this is nothing to mend."""
    if IS_COMPILED:
        return Finding("kernel", "the lead fold runs compiled", "streams/kernel.pyx", "")
    left = tools.missing([tools.COMPILER, tools.HEADERS])
    faster = f"{tools.command(left)}, then `make setup`" if left else "`make setup`"
    return Finding("kernel", f"the lead fold runs in Python alone; five times as fast after: {faster}", "streams", "")


def _java() -> Finding:
    found = tools.java()
    if found or tools.docker():
        return Finding("java", "is there" if found else "not needed: Docker runs the broker", found or "Docker", "")
    missing = f"no Java {tools.OLDEST_JAVA} or newer, which the broker of `make up` needs"
    return Finding("java", missing, "PATH", tools.command([tools.JAVA]))


def _kafka(settings: Settings) -> Finding:
    answers = []
    for server in settings.kafka.split(","):
        host, _, port = server.strip().rpartition(":")
        answers.append(probe.kafka(int(port), host.strip("[]")))
    if "yes" in answers:
        return Finding("kafka", "answers", settings.kafka, "")
    what = "something else listens there" if "other" in answers else "nobody listens there"
    return Finding("kafka", what, f"HANDRAISE_KAFKA={settings.kafka}", "`make up`, or correct the address")


def _topics(settings: Settings) -> Finding:
    where = f"{settings.kafka}, prefix {settings.prefix!r}"
    try:
        drifts = asyncio.run(topics.check(settings))
    except Failure as failure:
        return Finding("topics", failure.what, failure.where, failure.remedy)
    if not drifts:
        return Finding("topics", "as the topic table has them", where, "")
    first = drifts[0]
    more = f" (and {len(drifts) - 1} more)" if len(drifts) > 1 else ""
    return Finding("topics", f"{first.topic}: {first.what}{more}", where, first.remedy)


def _redis(settings: Settings) -> Finding:
    parts = urlsplit(settings.redis)
    if parts.scheme == "rediss" or parts.password:
        return Finding("redis", "not asked: it wants TLS or a password", settings.redis.rpartition("@")[2], "")
    answer = probe.redis(parts.port or 6379, parts.hostname or "127.0.0.1")
    if answer == "yes":
        return Finding("redis", "answers", settings.redis, "")
    what = "something else listens there" if answer == "other" else "nobody listens there"
    return Finding("redis", what, f"HANDRAISE_REDIS={settings.redis}", "`make up`, or correct the address")


def _port(name: str, variable: str, address: Address) -> Finding:
    where = f"{variable}={address}"
    if probe.http(f"http://{address}/healthz"):
        return Finding(name, f"a {name} serves", where, "")
    if probe.kafka(address.port, address.host) != "no":
        return Finding(name, "something else listens there", where, "end it, or choose another port")
    return Finding(name, "the port is free", where, "")


def _secrets(settings: Settings) -> Finding:
    path = keyfile.path_of(settings)
    if settings.secrets is None and not path.exists():
        return Finding("secrets", "will be made on first use", str(path), "")
    try:
        keyfile.id_key(settings, lambda _: None)
    except Failure as failure:
        return Finding("secrets", failure.what, failure.where, failure.remedy)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding("secrets", "others can read the id key", str(path), f"chmod 600 {path}")
    return Finding("secrets", "there is an id key, for you alone", str(path), "")


def _passwords(settings: Settings) -> Finding:
    """A deployment that has no console needs none, so that this is nothing to mend."""
    where = str(keyfile.path_of(settings))
    try:
        found = sorted(access.passwords(settings))
    except Failure as failure:
        return Finding("people", failure.what, failure.where, failure.remedy)
    what = f"can sign in: {', '.join(found)}" if found else "nobody can sign in yet: `handraise password NAME`"
    return Finding("people", what, where, "")


def _rules(settings: Settings) -> Finding:
    try:
        found = rules.load(settings.rules)
    except Failure as failure:
        return Finding("rules", failure.what, failure.where, failure.remedy)
    return Finding("rules", f"valid, version {found.rules.version}", str(settings.rules), "")


def _browser_build() -> Finding:
    build = serve.BROWSER_BUILD
    there = build.is_file()
    what = "is installed" if there else "Segment's browser build is not installed, so /analytics.js answers 503"
    where = str(build.relative_to(ROOT) if there else build)
    return Finding("browser", what, where, "" if there else "`make setup`")


def show(finding: Finding) -> None:
    """One line if all is well; else what, where and remedy."""
    if finding.ok:
        line = Text.assemble(("ok     ", "good"), f"{finding.name:<9}{finding.what}", (f"  {finding.where}", "quiet"))
        out = output.console()
        if out.is_terminal:
            line.truncate(out.width, overflow="ellipsis")
        output.copyable(line)
        return
    output.copyable(Text.assemble(("fails  ", "bad"), f"{finding.name:<9}{finding.what}"))
    for name, value in (("where", finding.where), ("remedy", finding.remedy)):
        output.copyable(Text.assemble((f"{'':16}{name + ':':<8}", "quiet"), value))
