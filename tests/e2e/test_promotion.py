"""Rules published, promoted under load and rolled back, as whoever owns the model does it: real Kafka, all workers."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.codec import decode
from schemas.records import LeadAlert, LeadState, LeadTransition, Promote
from tests.e2e.deployment import ROOT, Deployment, Supervisor, call, until
from tests.e2e.reading import rows
from tests.e2e.test_desk import post

SOONER = (("hot_at = 60 ", "hot_at = 20 "), ("cool_below = 45 ", "cool_below = 10 "))
INTERESTED = 6
"""Visitors with 20 to 59 points: hot by the second set alone."""


def folder(place: Path, *changes: tuple[str, str]) -> str:
    """The shipped rules with these texts of alerts.toml replaced."""
    shutil.copytree(ROOT / "rules", place)
    text = (place / "alerts.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (place / "alerts.toml").write_text(text)
    return str(place)


def look(visitor: str, number: int | str, path: str = "/pricing") -> dict[str, Any]:
    """A visitor with an address looks at a page; 21 points if it is the prices."""
    traits = {"email": f"{visitor}@brightwater.example"}
    return call("page", f"{visitor}-{number}", userId=visitor, properties={"path": path}, context={"traits": traits})


@contextmanager
def load(gateway: str) -> Iterator[list[str]]:
    """Visitors who come one after the other and look at one page each, until the end; who they were so far."""
    came: list[str] = []
    over = threading.Event()

    def visit() -> None:
        while not over.wait(0.1):
            new = [f"passer-{len(came) + n}" for n in range(10)]
            post(gateway, *(look(each, 0, "/about") for each in new))
            came.extend(new)

    visiting = threading.Thread(target=visit)
    visiting.start()
    try:
        yield came
    finally:
        over.set()
        visiting.join(60)


class Shop:
    """A deployment, and what it says."""

    def __init__(self, place: Deployment) -> None:
        self.place = place

    def command(self, *words: str, code: int = 0) -> Any:
        """What a command says to machines."""
        done = self.place.run(*words, "--json")
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout) if code == 0 else done.stderr

    def said(self, topic: str) -> list[Any]:
        """Every committed record."""
        return [decode(row.value) for row in rows(self.place.kafka, self.place.topic(topic)) if row.value]

    def heat(self) -> dict[str, list[LeadTransition]]:
        """The changes of heat of each lead."""
        found: dict[str, list[LeadTransition]] = {}
        for each in self.said("lead.transitions"):
            if isinstance(each, LeadTransition) and each.aspect == "heat":
                found.setdefault(each.lead_id, []).append(each)
        return found

    def states(self) -> dict[str, LeadState]:
        """The last word on each lead."""
        return {each.lead_id: each for each in self.said("lead.state")}


def test_rules_are_promoted_under_load_and_rolled_back(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    """States follow from the record on, over a kill, too; rules alone alert nobody; what was hot cools again."""
    shop = Shop(place := deploy())
    place.create_topics()
    gateway = place.gateway().await_ready().url()
    leads = Supervisor(place, lambda: place.worker("--instance-id", "leads"))
    desk = place.worker(role="desk").await_ready()
    first = shop.command("rules", "publish", folder(tmp_path / "first"), "--by", "ana")
    second = shop.command("rules", "publish", folder(tmp_path / "second", *SOONER), "--by", "ana")
    told = shop.command("rules", "diff", first["version"], str(tmp_path / "second"))
    assert [(each["what"], each["before"], each["after"]) for each in told["differences"]] == [
        ("hot_lead hot_at", "60", "20"),
        ("hot_lead cool_below", "45", "10"),
    ]
    refusal = shop.command("rules", "promote", "nonsense", code=2)
    assert first["version"] in refusal
    assert second["version"] in refusal

    interested = [f"visitor-{number}" for number in range(INTERESTED)]
    ids = [place.lead("u", each) for each in interested]
    post(gateway, *(look(each, 0) for each in interested))
    until(lambda: set(ids) <= set(shop.states()), "the interested to be scored")
    with load(gateway) as came:
        assert shop.command("rules", "promote", first["version"])["former"] is None
        done = shop.command("rules", "promote", second["version"])
        assert done == {"version": second["version"], "former": first["version"], "changed": True}
        leads.child.process.kill()
        post(gateway, *(look(each, 1, "/about") for each in interested), look("newcomer", 0))
        newcomer = place.lead("u", "newcomer")
        until(lambda: set(shop.heat()) == {*ids, newcomer}, "all to be hot by the new rules")
        hot, alerts = shop.heat(), [each for each in shop.said("lead.alerts") if isinstance(each, LeadAlert)]
        assert [each.lead_id for each in alerts] == [newcomer]
        assert alerts[0].model == second["model"]
        assert {each.cause.rpartition(" ")[2] for id in ids for each in hot[id]} == {second["model"]}
        assert {shop.states()[id].model for id in ids} == {second["model"]}
        assert shop.command("explain", "user:visitor-0")["model"] == second["model"]
        assert shop.command("rules", "rollback")["version"] == first["version"]
        until(
            lambda: all(each[-1].after == "cold" for each in shop.heat().values()) and len(shop.heat()) > INTERESTED,
            "all to have cooled by the former rules",
        )
    assert len([each for each in shop.said("lead.alerts") if isinstance(each, LeadAlert)]) == 1
    mail = [row.partition for row in rows(place.kafka, place.topic("lead.events")) if _is_promotion(row.value)]
    assert mail == [number for number in range(place.partitions) for _ in range(3)]
    everybody = {place.lead("u", each) for each in came} | {*ids, newcomer}
    until(lambda: everybody <= set(shop.states()), "all who came to be scored")
    until(leads.ready, "the leads' worker")
    leads.stop()
    desk.stop()


def _is_promotion(value: bytes | None) -> bool:
    return isinstance(decode(value or b""), Promote)
