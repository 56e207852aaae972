"""The processes that serve: a gateway, a console and workers, from settings to exit code.

Each imports its own world when it starts: a gateway that loads no Faust is there in half the time.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import partial

import structlog

from handraise import access, crew, following, keyfile, logs, output, rules, topics
from handraise.failure import Failure
from handraise.settings import ROOT, Settings
from streams.desk.roster import ROSTER_FILE

ROLES = ("leads", "desk", "mirror", "notify")
BROWSER_BUILD = ROOT / "deploy/browser/node_modules/@segment/analytics-next/dist/umd/standalone.js"

log = structlog.get_logger("handraise")


def gateway(settings: Settings) -> None:
    """Serve trackers until SIGTERM or SIGINT.  Raises Failure if it cannot start."""
    from gateway.server import GatewayConfig, run
    from serving.server import StartError

    rule_set = rules.load(settings.rules)
    secret = keyfile.id_key(settings, lambda said: log.warning(said))
    config = GatewayConfig(
        bootstrap=settings.kafka,
        partitions=settings.partitions,
        id_secret=secret,
        sources_text=rule_set.texts[rules.SOURCES_FILE],
        vocabulary_text=rule_set.texts[rules.VOCABULARY_FILE],
        browser_build=BROWSER_BUILD,
        prefix=settings.prefix,
        redis=settings.redis,
        host=settings.gateway.host,
        port=settings.gateway.port,
        rules_folder=str(settings.rules),
        drain_s=settings.drain,
    )
    try:
        run(config, started=lambda host, port: log.info("gateway serves", url=f"http://{host}:{port}"))
    except StartError as error:
        raise Failure(error.what, error.where, error.remedy) from error


def console(settings: Settings, site: str | None) -> None:
    """Serve people until SIGTERM or SIGINT; `site`: what /demo shows.  Raises Failure if it cannot start."""
    from console.server import ConsoleConfig, run
    from serving.server import StartError

    rule_set = rules.load(settings.rules)
    config = ConsoleConfig(
        bootstrap=settings.kafka,
        redis=settings.redis,
        rules=rule_set.rules,
        desk_rules=rule_set.desk,
        secret=keyfile.id_key(settings, lambda said: log.warning(said)),
        passwords=access.Passwords(settings),
        prefix=settings.prefix,
        host=settings.console.host,
        port=settings.console.port,
        demo_site=site,
        follow=lambda obey: following.follow(settings, lambda found: obey(found.rules, found.desk)),
    )
    if site is None and not config.passwords():
        log.warning("nobody has a password yet: `handraise password NAME` makes one")
    try:
        run(config, started=lambda host, port: log.info("console serves", url=f"http://{host}:{port}"))
    except StartError as error:
        raise Failure(error.what, error.where, error.remedy) from error


@dataclass(frozen=True, slots=True)
class Leave:
    """What a person has decided that a worker may do without."""

    accept_poison: int = 0
    """So many unreadable records of each partition."""
    skip: tuple[tuple[int, int], ...] = ()
    """These records: (partition, offset) of the role's inbox."""


def places(roles: tuple[str, ...], given: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Records named as PARTITION:OFFSET.  Raises Failure where that names none, or not of which inbox."""
    if given and (len(roles) != 1 or roles[0] not in ("leads", "desk")):
        raise Failure("--skip names a record of one inbox", "handraise worker", "name one role: leads or desk")
    found = [re.fullmatch(r"(\d{1,9}):(\d{1,18})", each) for each in given]
    if not all(found):
        raise Failure("--skip takes PARTITION:OFFSET, as in 3:4711", "handraise worker", "copy it from the message")
    return tuple((int(each[1]), int(each[2])) for each in found if each)


def worker(
    settings: Settings, roles: tuple[str, ...], leave: Leave, metrics_port: int | None, instance_id: str | None
) -> int:
    """Run a worker of these roles until SIGTERM or SIGINT; its exit code.  Raises Failure if it cannot start.

    Each of several roles has a process of its own; their metrics are served on `metrics_port` and the ports after it.
    """
    unknown = [role for role in roles if role not in (*ROLES, "all")]
    if unknown:
        raise Failure(
            f"there is no role {', '.join(unknown)}", "handraise worker", f"name one of: {', '.join(ROLES)}, all"
        )
    wanted = [role for role in ROLES if role in roles or "all" in roles]
    rules.load(settings.rules)
    asyncio.run(topics.require(settings))
    if len(wanted) == 1:
        return _role(settings, wanted[0], leave, metrics_port, instance_id)
    ports = [metrics_port + place if metrics_port else metrics_port for place in range(len(wanted))]
    return crew.run(
        [
            (role, partial(_role_alone, settings, role, leave, port, instance_id))
            for role, port in zip(wanted, ports, strict=True)
        ]
    )


def _role_alone(settings: Settings, role: str, leave: Leave, metrics_port: int | None, instance_id: str | None) -> int:
    """The same in a process that was just begun."""
    logs.configure(settings.log)
    try:
        return _role(settings, role, leave, metrics_port, instance_id)
    except Failure as failure:
        output.fail(failure)
        return failure.exit_code


def _role(settings: Settings, role: str, leave: Leave, metrics_port: int | None, instance_id: str | None) -> int:
    if role in _SINKS:
        return _SINKS[role](settings, metrics_port)
    from agents import desk, leads
    from agents.lane.errors import LaneRefused
    from agents.lane.worker import main as run_lane

    rule_set = rules.load(settings.rules)
    try:
        if role == desk.ROLE:
            version = rule_set.desk.version
            config = desk.desk_config(
                bootstrap=settings.kafka,
                partitions=settings.partitions,
                rules=rule_set.desk,
                prefix=settings.prefix,
                accept_poison=leave.accept_poison,
                skip=leave.skip,
                instance_id=instance_id,
                metrics_port=metrics_port,
            )
        else:
            version = rule_set.rules.version
            config = leads.leads_config(
                bootstrap=settings.kafka,
                partitions=settings.partitions,
                rules=rule_set.rules,
                prefix=settings.prefix,
                accept_poison=leave.accept_poison,
                skip=leave.skip,
                instance_id=instance_id,
                metrics_port=metrics_port,
            )
    except LaneRefused as error:
        raise Failure(error.what, error.where, error.remedy) from error
    log.info("worker starts", role=role, rules=version, kafka=settings.kafka, prefix=settings.prefix)
    return run_lane(config)


def _mirror(settings: Settings, metrics_port: int | None) -> int:
    from agents import mirror

    log.info("worker starts", role=mirror.ROLE, kafka=settings.kafka, prefix=settings.prefix)
    return mirror.main(mirror.MirrorConfig(settings.kafka, settings.redis, settings.prefix, health_port=metrics_port))


def _notify(settings: Settings, metrics_port: int | None) -> int:
    from agents import notify
    from handraise import channels

    mailbox, endpoints = channels.load(settings)
    rule_set = asyncio.run(following.in_force(settings, rules.load(settings.rules)))
    config = notify.NotifyConfig(
        bootstrap=settings.kafka,
        prefix=settings.prefix,
        mailbox=mailbox,
        endpoints=endpoints,
        addresses=channels.addresses(rule_set.texts[ROSTER_FILE]),
        queues=rule_set.desk.routing.queues,
        health_port=metrics_port,
        follow=lambda obey: following.follow(
            settings,
            lambda found: obey(channels.addresses(found.texts[ROSTER_FILE]), found.desk.routing.queues),
        ),
    )
    told = ["email"] if mailbox else []
    told += [f"webhook {each.name}" for each in endpoints]
    log.info("worker starts", role=notify.ROLE, channels=told, kafka=settings.kafka, prefix=settings.prefix)
    return notify.main(config)


_SINKS = {"mirror": _mirror, "notify": _notify}
