"""What a record costs to be verified: folded again and compared with all that was published and remembered."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time

from bench import kit
from bench.kit import Row
from bench.leads import SEED, through_lane
from bench.traffic import by_partition, traffic
from handraise.settings import ROOT


def run(kafka: str | None = None, leads: int = 30_000, runs: int = 3) -> list[Row]:
    """About ten events a lead, folded by a worker; then `handraise replay --verify`, in one process and in two.

    Without `kafka` a broker is started.
    """
    if kafka is None:
        with kit.cluster() as own:
            return run(own, leads, runs)
    end_ms = time.time_ns() // 1_000_000
    events = traffic(SEED, leads, end_ms, tells="all, later")
    prefix = f"replay{end_ms}."
    parts = dict(enumerate(by_partition(events, kit.PARTITIONS)))
    asyncio.run(through_lane(kafka, prefix, parts, len(events), "leads"))
    found = {processes: [_verify(kafka, prefix, processes) for _ in range(runs)] for processes in (1, 2)}
    job = f"{len(events)} events of {leads} leads, two in five sign in midway, with all that was published of them"
    return [_row(processes, job, measured) for processes, measured in found.items()]


def _row(processes: int, job: str, measured: list[Row]) -> Row:
    name = "handraise replay --verify" + (f" --processes {processes}" if processes > 1 else "")
    costs = [each.pop("cpu_us") for each in measured]
    rss = max(each.pop("rss_mib") for each in measured)
    further = {key: round(statistics.median(each[key] for each in measured), 2) for key in measured[0]}
    return kit.row(name, job, costs, rss, **further)


def _verify(kafka: str, prefix: str, processes: int) -> Row:
    """One verification: its CPU a record of the inboxes, start and end of the process with it."""
    words = [sys.executable, "-m", "handraise", "replay", "--verify", "--json", "--processes", str(processes)]
    began = time.monotonic()
    with subprocess.Popen(words, env=kit.environment(kafka, prefix), cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        told = json.loads(child.stdout.read())
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert told["ok"], told
    return {
        "cpu_us": (usage.ru_utime + usage.ru_stime) / told["records"] * 1e6,
        "rss_mib": usage.ru_maxrss / 1024,
        "records_per_s": told["records"] / told["seconds"],
        "whole_command_s": time.monotonic() - began,
        "compared_per_record": sum(told["compared"].values()) / told["records"],
    }
