"""The desk alone: raised hands that get an owner, a deadline, a trace and their notices, with 200 people and 30 rules.

Records come as the log has them and go out encoded, so that all is counted but Kafka.
"""

from __future__ import annotations

import cProfile
import gc
import io
import pstats
import time
from dataclasses import dataclass

from bench import kit
from bench.kit import Row
from handraise.settings import ROOT
from handraise.zones import zone
from schemas.codec import encode
from schemas.records import RaisedHand
from streams.desk import rules as desk_rules
from streams.desk.fold import DeskFold
from streams.desk.rules import DeskRules
from streams.identity import lead_id

PEOPLE, RULES = 200, 30
PROFILE = ROOT / "build" / "profile-desk.txt"
_ZONES = ("Europe/Lisbon", "Europe/Copenhagen", "Europe/Istanbul", "America/New_York", "Asia/Singapore")
_MONDAY = 1_795_428_000_000
"""Monday, 23 November 2026, 10:00 UTC."""
_COUNTRIES = [a + b for a in "ABCDEFGHIJKL" for b in "ABCDEFGHIJ"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record as the log has it."""

    offset: int
    timestamp: int
    value: bytes
    key: None = None


def rules(people: int = PEOPLE, count: int = RULES) -> DeskRules:
    """A roster of so many people in as many territories as there are rules but one, which takes all the rest."""
    areas = [f"area-{n}" for n in range(count - 1)]
    roster = ['[[team]]\nid = "sales"\nname = "Sales"\nmanager = "p0"'] + [
        f'[[person]]\nid = "p{n}"\nname = "Person {n}"\nemail = "p{n}@harbourlight.example"\nteam = "sales"\n'
        f'zone = "{_ZONES[n % len(_ZONES)]}"\nhours = {{ mon-sun = ["00:00-24:00"] }}\ntopics = ["sales"]\n'
        f'territories = ["{areas[n % len(areas)]}"]\nlanguages = ["en"]\nweight = {n % 3 + 1}\ncapacity = 10000'
        for n in range(people)
    ]
    territories = "\n".join(f"{area} = {_COUNTRIES[4 * n : 4 * n + 4]}" for n, area in enumerate(areas))
    shipped = (ROOT / "rules" / desk_rules.ROUTING_FILE).read_text()
    classes = shipped[shipped.index("[classes.contact_request]") : shipped.index("# The first rule that fits")]
    queues = "".join(f'[queues.{name}]\nresponsible = "p0"\n' for name in ("desk", "manager", "check"))
    pools = "".join(f'[pools.{area}]\nterritory = "{area}"\nqueue = "desk"\nthen = "all"\n' for area in areas)
    rest = '[[rule]]\nid = "rest"\npool = "all"\n'
    each = "".join(f'[[rule]]\nid = "{area}"\nterritories = ["{area}"]\npool = "{area}"\n' for area in areas)
    routing = f'[territories]\n{territories}\n{queues}[pools.all]\nqueue = "desk"\n{pools}{classes}{each}{rest}'
    texts = {desk_rules.ROSTER_FILE: "\n".join(roster), desk_rules.CALENDARS_FILE: "", desk_rules.ROUTING_FILE: routing}
    return desk_rules.load(texts, zone)


def hands(count: int, other: int = 0) -> list[Recorded]:
    """So many requests of as many visitors from all territories, and one in thirty from elsewhere."""
    records = []
    for n in range(count):
        ids = (lead_id("e", f"visitor {other} {n}", b"bench"), lead_id("a", f"device {other} {n}", b"bench"))
        country = _COUNTRIES[n % (4 * (RULES - 1))] if n % RULES else "ZZ"
        hand = RaisedHand(
            f"{other:04x}{n:012x}", ids[0], ids, _MONDAY, _MONDAY, "sales", country, "en", f"v{n}@kestrel.example",
            None, "Elif Demir", "Kestrel Foods", "Please call me about sensors for our dairy.", "human", (), "phone",
            None, None, 2_000, None, b"x" * 700,
        )  # fmt: skip
        records.append(Recorded(n, _MONDAY + n // 20, encode(hand)))
    return records


def run(count: int = 20_000, runs: int = 3, profile: bool = False) -> list[Row]:
    """Two rows: in batches of 100, as under load, and one by one, as the desk commits when it is calm."""
    compiled, rows = rules(), []
    for batch in (100, 1):
        costs, outputs = [], 0
        for number in range(runs):
            log, fold = hands(count, number), DeskFold(0, {}, compiled, 4)
            gc.collect()
            began = time.process_time()
            outputs = 0
            for start in range(0, count, batch):
                fold.apply(log[start : start + batch])
                outputs += len(fold.seal().outputs)
            costs.append((time.process_time() - began) / count * 1e6)
        job = f"raised hands decided, {PEOPLE} people, {RULES} rules, batches of {batch}"
        rows.append(kit.row("desk fold", job, costs, kit.rss_mib(), outputs_each=round(outputs / count, 1)))
    if profile:
        _write_profile(compiled, hands(count))
    return rows


def _write_profile(compiled: DeskRules, log: list[Recorded]) -> None:
    fold, profiler, text = DeskFold(0, {}, compiled, 4), cProfile.Profile(), io.StringIO()
    profiler.enable()
    for start in range(0, len(log), 100):
        fold.apply(log[start : start + 100])
        fold.seal()
    profiler.disable()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(40)
    PROFILE.parent.mkdir(exist_ok=True)
    PROFILE.write_text(text.getvalue())
