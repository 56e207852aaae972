"""What commands say when something is wrong, and where they say it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.probe import free_port
from handraise.settings import ROOT, VARIABLES
from tests.handraise.conftest import Command


def three_lines(err: str) -> None:
    """A failure says what, where and the remedy, and nothing else."""
    what, where, remedy = err.splitlines()
    assert what and where.startswith("  where:  ") and remedy.startswith("  remedy: ")


@pytest.mark.parametrize(
    "words",
    [
        ["worker", "desk"],
        ["worker"],
        ["nonsense"],
        ["topics", "create", "--now"],
        ["lead", "somebody"],
        ["lead", "email:nobody"],
        ["explain", "u_aaaaaaaaaaaaaaaa", "--at", "yesterday"],
        ["tail", "lead.nothing"],
        ["rules", "check", "no/such/folder"],
        ["demo", "--rate", "0"],
    ],
)
def test_wrong_use_is_told_in_three_lines(handraise: Command, words: list[str]) -> None:
    """Wrong use ends with exit code 2, what, where and the remedy on standard error, and nothing on standard output."""
    answer = handraise(*words)
    assert (answer.code, answer.out) == (2, "")
    three_lines(answer.err)


@pytest.mark.parametrize(
    "words",
    [["topics", "check"], ["topics", "create"], ["tail"], ["lead", "u_aaaaaaaaaaaaaaaa"], ["worker", "leads"]],
)
def test_a_broker_that_is_not_there_is_told(handraise: Command, words: list[str]) -> None:
    """Every command that needs Kafka says where it looked and how to start it."""
    address = f"127.0.0.1:{free_port()}"
    answer = handraise(*words, HANDRAISE_KAFKA=address)
    assert (answer.code, answer.out) == (2, "")
    three_lines(answer.err)
    assert f"HANDRAISE_KAFKA={address}" in answer.err
    assert "make up" in answer.err


def test_an_unknown_role_lists_the_known_ones(handraise: Command) -> None:
    """Who names a role that does not exist learns which do."""
    assert "leads, desk, mirror, notify, all" in handraise("worker", "accounts").err


def test_an_unknown_variable_stops_any_command(handraise: Command) -> None:
    """A misspelt variable is an error of whatever command runs under it."""
    answer = handraise("topics", "list", HANDRAISE_TOPIC="x")
    assert answer.code == 2
    three_lines(answer.err)


def test_help_names_every_variable_and_command(handraise: Command) -> None:
    """`--help` is the documentation of the environment."""
    for words in (["--help"], []):
        answer = handraise(*words)
        assert answer.code == 0
        assert all(variable.name in answer.out for variable in VARIABLES)


def test_topics_list_has_the_deployments_names(handraise: Command) -> None:
    """The list shows physical names and counts, for people and for machines."""
    answer = handraise("topics", "list", HANDRAISE_PREFIX="p.", HANDRAISE_PARTITIONS="6")
    assert "p.lead.events" in answer.out and "p.leads.changelog" in answer.out
    listed = json.loads(handraise("topics", "list", "--json").out)
    assert {"name": "p.lead.alerts", "partitions": 6, "public": True}.items() <= listed[3].items()


def test_the_shipped_rules_are_valid(handraise: Command) -> None:
    """`rules check` sums up what is in force with the rules that are shipped."""
    answer = handraise("rules", "check", str(ROOT / "rules"))
    assert (answer.code, answer.err) == (0, "")
    found = json.loads(handraise("rules", "check", str(ROOT / "rules"), "--json").out)
    assert found["ok"] is True
    assert {"hot_at": 60, "cool_below": 45, "sources": ["demo"]}.items() <= found["in_force"].items()


def broken(folder: Path, file: str, before: str, after: str) -> Path:
    """A copy of the shipped rules with one text changed in one file."""
    shutil.copytree(ROOT / "rules", folder, dirs_exist_ok=True)
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after, 1))
    return folder


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("model.toml", "points = 1\n", 'points = "one"\n'),
        ("model.toml", "[stages]", "[stages"),
        ("alerts.toml", "hot_at = 60", "hot_at = 600"),
        ("vocabulary.toml", '"Trial Started" = "trial_start"', '"Trial Started" = "Trial Start"'),
        ("sources.toml", 'name = "demo"', 'name = "De mo"'),
    ],
)
def test_a_broken_rules_file_is_refused(handraise: Command, tmp_path: Path, file: str, before: str, after: str) -> None:
    """Each file that is wrong is told with its line, and refused with exit code 2, by `rules check` and at a start."""
    folder = broken(tmp_path / "rules", file, before, after)
    answer = handraise("rules", "check", str(folder))
    assert (answer.code, answer.out) == (2, "")
    three_lines(answer.err)
    assert f"{folder / file}, line " in answer.err
    assert handraise("worker", "leads", HANDRAISE_RULES=str(folder)).err == answer.err
    assert handraise("gateway", HANDRAISE_RULES=str(folder)).err == answer.err


def test_all_broken_files_are_told_at_once(handraise: Command, tmp_path: Path) -> None:
    """Two files that are wrong are two errors, also when the first is the model."""
    folder = broken(tmp_path / "rules", "model.toml", "cap = 100", "cap = 0")
    broken_alerts = (folder / "alerts.toml").read_text().replace("cooldown_days = 7", "cooldown_days = -7")
    (folder / "alerts.toml").write_text(broken_alerts)
    found = json.loads(handraise("rules", "check", str(folder), "--json").out)
    assert [Path(each["where"].split(",")[0]).name for each in found["problems"]] == ["model.toml", "alerts.toml"]
    assert found["in_force"] is None


def test_a_missing_rules_file_is_told(handraise: Command, tmp_path: Path) -> None:
    """A folder without one of the files is refused with the file's path."""
    folder = broken(tmp_path / "rules", "model.toml", "cap", "cap")
    (folder / "sources.toml").unlink()
    answer = handraise("rules", "check", str(folder))
    assert answer.code == 2
    assert str(folder / "sources.toml") in answer.err


def test_a_rule_that_no_event_can_match_is_doubted(handraise: Command, tmp_path: Path) -> None:
    """A kind that no call ever becomes is valid and surely not meant: exit code 1."""
    folder = broken(tmp_path / "rules", "model.toml", 'kinds = ["dwell"]', 'kinds = ["dwel"]')
    answer = handraise("rules", "check", str(folder))
    assert answer.code == 1
    three_lines(answer.err)
    assert "no event becomes dwel" in answer.err


def test_doctor_tells_what_is_missing(handraise: Command) -> None:
    """`doctor` fails with a remedy for what is not there, and is content with what is."""
    found = json.loads(
        handraise(
            "doctor",
            "--json",
            HANDRAISE_KAFKA=f"127.0.0.1:{free_port()}",
            HANDRAISE_REDIS=f"redis://127.0.0.1:{free_port()}/0",
            HANDRAISE_GATEWAY=f"127.0.0.1:{free_port()}",
        ).out
    )
    by_name = {each["name"]: each for each in found["findings"]}
    assert found["ok"] is False
    assert not by_name["kafka"]["ok"] and "make up" in by_name["kafka"]["remedy"]
    assert not by_name["redis"]["ok"]
    assert by_name["python"]["ok"] and by_name["rules"]["ok"] and by_name["gateway"]["ok"]
    assert by_name["kernel"]["what"] == "the lead fold runs compiled"
    answer = handraise("doctor")
    assert answer.code == 1
    assert "remedy: " in answer.out


def test_doctor_sees_a_secrets_file_that_others_can_read(handraise: Command, tmp_path: Path) -> None:
    """An id key that others can read is a finding, with the command that mends it."""
    (tmp_path / "secrets.toml").chmod(0o644)
    found = json.loads(handraise("doctor", "--json", HANDRAISE_KAFKA=f"127.0.0.1:{free_port()}").out)
    [secrets] = [each for each in found["findings"] if each["name"] == "secrets"]
    assert secrets["remedy"].startswith("chmod 600 ")


def test_a_gateway_loads_no_faust() -> None:
    """What a gateway imports leaves the workers' world out: it starts in half the time."""
    program = "import handraise.cli, handraise.serve, gateway.server, sys; sys.exit('faust' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_what_is_to_be_skipped_is_named_by_one_inbox_and_place(handraise: Command) -> None:
    """A record that cannot be folded is named as in the message; anything else is refused with what, where, remedy."""
    for wrong in (["all", "--skip", "0:1"], ["leads", "desk", "--skip", "0:1"], ["leads", "--skip", "41"]):
        answer = handraise("worker", *wrong)
        assert answer.code == 2
        assert "--skip" in answer.err and "remedy: " in answer.err
