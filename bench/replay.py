"""What a record costs to be verified: folded again and compared with all that was published and remembered."""

from __future__ import annotations

import asyncio
import json
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
    words = ["-m", "handraise", "replay", "--verify", "--json", "--processes", str(processes)]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _LAUNCH, sys.executable, *words],
        env=kit.environment(kafka, prefix),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    cpu_s, rss_mib, told = json.loads(done.stdout)
    assert told["ok"], told
    return {
        "cpu_us": cpu_s / told["records"] * 1e6,
        "rss_mib": rss_mib,
        "records_per_s": told["records"] / told["seconds"],
        "whole_command_s": time.monotonic() - began,
        "compared_per_record": sum(told["compared"].values()) / told["records"],
    }


_LAUNCH = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, json.loads(done.stdout)]))
"""
"""A small process between: what a child has used at most begins with the size of its parent."""
