"""Nothing starts on what cannot work: broken rules, missing topics, another partition count; the remedy is said."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewPartitions

from tests.e2e.deployment import ROOT, Child, Deployment

BROKEN = [
    ("model.toml", "points = 15", 'points = "many"', "rule[7].points"),
    ("alerts.toml", "hot_at = 60", "hot_att = 60", "hot_lead.hot_att"),
    ("vocabulary.toml", "[events]", "[events", ""),
    ("sources.toml", 'opt_out = "anonymous"', 'opt_out = "shrug"', "source[0].opt_out"),
]


def refusal(child: Child) -> tuple[str, str, str]:
    """What, where and remedy, as a process said them when it refused to start."""
    assert child.ended() == 2, child.log()
    what, where, remedy = (line for line in child.log().splitlines() if not line.startswith("{"))
    assert where.startswith("  where:")
    assert remedy.startswith("  remedy:")
    return what, where.removeprefix("  where:").strip(), remedy.removeprefix("  remedy:").strip()


def test_broken_rules_are_refused(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    """A folder that cannot be meant is refused: each file's fault is told with file, line, field and remedy."""
    rules = tmp_path / "rules"
    shutil.copytree(ROOT / "rules", rules)
    wheres = []
    for file, right, wrong, field in BROKEN:
        text = (rules / file).read_text().replace(right, wrong, 1)
        (rules / file).write_text(text)
        line = 1 + next(n for n, line in enumerate(text.splitlines()) if line.startswith(wrong))
        wheres.append(f"{rules / file}, line {line}" + (f", field {field}" if field else ""))
    place = deploy()
    children = [place.worker(HANDRAISE_RULES=str(rules)), place.gateway(HANDRAISE_RULES=str(rules))]
    checked = place.run("rules", "check", str(rules), "--json")
    assert checked.returncode == 2
    problems = json.loads(checked.stdout)["problems"]
    assert [problem["where"] for problem in problems] == wheres
    assert all(problem["what"] and problem["remedy"] for problem in problems)
    for child in children:
        assert refusal(child) == tuple(problems[0][part] for part in ("what", "where", "remedy"))


def test_a_missing_topic_stops_the_start(deploy: Callable[..., Deployment]) -> None:
    """Without its topics nothing starts, and the command that makes them is said; made, they are checked and kept."""
    place = deploy()
    for child in (place.worker(), place.gateway()):
        what, where, remedy = refusal(child)
        assert "topic" in what
        assert place.prefix in where
        assert "`handraise topics create`" in remedy
    assert place.run("topics", "check").returncode == 1
    place.create_topics()
    assert place.run("topics", "check").returncode == 0
    again = place.run("topics", "create", "--json")
    assert (again.returncode, json.loads(again.stdout)) == (0, {"done": []})


def test_a_changed_partition_count_stops_the_start(deploy: Callable[..., Deployment]) -> None:
    """An inbox that somebody widened would put leads elsewhere: nothing starts, and how to mend it is said."""
    place = deploy(2)
    place.create_topics()
    admin = AdminClient({"bootstrap.servers": place.kafka})
    [widened] = admin.create_partitions([NewPartitions(place.topic("lead.events"), 3)]).values()
    widened.result(20)
    children = [place.worker(), place.gateway()]
    for words in (("topics", "check"), ("topics", "create")):
        refused = place.run(*words)
        assert refused.returncode in (1, 2)
        assert "it has 3 partitions, 2 are configured" in refused.stderr
    for child in children:
        what, where, remedy = refusal(child)
        assert "3 partitions" in what
        assert place.topic("lead.events") in where
        assert "`handraise topics c" in remedy


def test_an_unknown_setting_stops_the_start(deploy: Callable[..., Deployment]) -> None:
    """A misspelt HANDRAISE_ variable is an error that guesses what was meant."""
    what, where, remedy = refusal(deploy().worker(HANDRAISE_PARTITION="4"))
    assert what.startswith("HANDRAISE_PARTITION is no setting")
    assert where == "the environment"
    assert "HANDRAISE_PARTITIONS" in remedy
