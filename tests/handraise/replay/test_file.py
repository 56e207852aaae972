"""A file of events is folded with no broker at all: always the same, whatever order the lines are in, and as scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from streams.identity import event_id
from tests.handraise.conftest import Answer, Command

MONDAY = "2026-11-23T10:"
Line = dict[str, Any]
Fold = Callable[..., Path]


def page(minute: int, device: str, path: str = "/pricing", **more: Any) -> Line:
    """Somebody looks at a page."""
    url = f"https://harbourlight.example{path}"
    return line(minute, "page", anonymousId=device, properties={"path": path, "url": url, "title": path}, **more)


def line(minute: int, type: str, **more: Any) -> Line:
    """Something that comes at a minute of a Monday's morning."""
    at = f"{MONDAY}{minute:02d}:00Z"
    return {"received_at": at, "type": type, "messageId": f"{type}-{minute}-{more.get('anonymousId', '')}", **more}


def asks(minute: int, user: str, **more: Any) -> Line:
    """Somebody asks for a demonstration."""
    traits = {"email": f"{user}@brightwater.example"}
    return line(minute, "track", userId=user, event="Demo Requested", traits=traits, properties={}, **more)


STORY = [
    page(0, "d1"),
    page(1, "d1", "/case-studies/dairy"),
    page(2, "d2"),
    asks(3, "jonas", anonymousId="d1"),
    page(4, "d1"),
    line(5, "identify", userId="jonas", anonymousId="d2"),
    line(50, "time"),
]


@pytest.fixture
def fold(handraise: Command, tmp_path: Path) -> Fold:
    """Fold lines with the command; returns the folder."""

    def run(lines: Iterable[Line], name: str = "out", **env: str) -> Path:
        answer = told(handraise, tmp_path, lines, name, **env)
        assert answer.code == 0, answer.err
        return tmp_path / name

    return run


def told(handraise: Command, folder: Path, lines: Iterable[Line | str], name: str = "out", **env: str) -> Answer:
    """What the command says."""
    file = folder / "events.jsonl"
    file.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines))
    env = {"HANDRAISE_PARTITIONS": "4", "HANDRAISE_KAFKA": "127.0.0.1:1"} | env  # nobody answers there
    return handraise("replay", "--events", str(file), "--out", str(folder / name), "--json", **env)


def read(folder: Path, name: str) -> list[Line]:
    """The lines of one file."""
    return [json.loads(each) for each in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_one_person_with_all_points(fold: Fold) -> None:
    """Two devices become one person who is hot, asked, and is answered; every file says its part of it."""
    folder = fold(STORY)
    leads = [each for each in read(folder, "states") if each.get("is") == "lead"]
    assert [(each["email"], each["events"], each["stage"]) for each in leads] == [
        ("jonas@brightwater.example", 6, "mql")
    ]
    assert {each["to"] for each in read(folder, "states") if each.get("is") == "moved"} == {leads[0]["key"]}
    assert [each["value"]["kind"] for each in read(folder, "alerts")] == ["hot_lead"]
    stages = [each["value"]["after"] for each in read(folder, "transitions") if each["value"]["aspect"] == "stage"]
    assert stages == ["inquiry", "mql"]
    assigned = read(folder, "assignments")
    assert {each["value"]["request_id"] for each in assigned} == {event_id("demo", STORY[3]["messageId"]).hex()}
    assert len({each["id"] for each in assigned}) == len(assigned)


def test_time_that_passes_does_what_it_does(fold: Fold) -> None:
    """A request that nobody takes goes on to others in time; one that is answered does not."""
    request = event_id("demo", STORY[3]["messageId"]).hex()
    owner = read(fold(STORY[:4]), "assignments")[0]["value"]["owner"]
    nobody = [each["value"]["status"] for each in read(fold(STORY), "assignments")]
    did = line(4, "activity", about=request, kind="contacted", rep=owner, channel="phone")
    answered = [each["value"]["status"] for each in read(fold([*STORY, did]), "assignments")]
    by_lead = [each["value"]["status"] for each in read(fold([*STORY, did | {"about": "user:jonas"}]), "assignments")]
    assert len(nobody) > 2 and "contacted" not in nobody
    assert answered == by_lead == ["assigned", "contacted"]


def test_who_is_away_gets_nothing(fold: Fold) -> None:
    """Presence counts from the line that says it."""
    owner = read(fold(STORY[:4]), "assignments")[0]["value"]["owner"]
    away = line(1, "presence", rep=owner, state="away", until=f"{MONDAY}59:00Z")
    assert read(fold([*STORY[:4], away]), "assignments")[0]["value"]["owner"] != owner


def test_the_order_of_the_lines_makes_no_difference(fold: Fold) -> None:
    """Time decides, then the id: the file upside down gives the same bytes; so does a second run."""
    folders = [fold(lines, name) for lines, name in ((STORY, "a"), (STORY[::-1], "b"), (STORY, "c"))]
    for name in ("hash", "states.jsonl", "transitions.jsonl", "alerts.jsonl", "assignments.jsonl"):
        assert len({(folder / name).read_bytes() for folder in folders}) == 1, name


def test_the_hash_tells_one_story_from_another(fold: Fold) -> None:
    """A page more, and the hash is another one."""
    assert (fold(STORY, "a") / "hash").read_text() != (fold([*STORY, page(6, "d1")], "b") / "hash").read_text()


def test_the_number_of_partitions_changes_no_fact(fold: Fold) -> None:
    """With one partition and with seven: the same leads, scores, stages, owners."""
    facts = []
    for partitions in ("1", "7"):
        folder = fold(STORY, partitions, HANDRAISE_PARTITIONS=partitions)
        leads = [each for each in read(folder, "states") if each.get("is") in ("lead", "moved")]
        places = ("fold", "memory")
        facts.append(
            (
                sorted(json.dumps({k: v for k, v in each.items() if k not in places}) for each in leads),
                [each["value"]["owner"] for each in read(folder, "assignments")],
            )
        )
    assert facts[0] == facts[1]


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("{", "cannot be read"),
        ('"page"', "cannot be read"),
        ({"type": "page", "anonymousId": "d1"}, "there is no `received_at`"),
        ({"received_at": "yesterday", "type": "page"}, "`received_at` is no time: 'yesterday'"),
        (line(1, "look"), "there is no type 'look'"),
        (line(1, "track", event="Demo Requested"), "no_identifier"),
        (page(1, "d1", writeKey="nobody's"), 'no source has the write key "nobody\'s"'),
        (line(1, "activity", about="jonas", kind="accept", rep="ana"), '"jonas" is no lead id'),
        (line(1, "activity", kind="accept", rep="ana"), "missing required field `about`"),
        (line(1, "presence", rep="ana", state="away", until="later"), "`until` is no time"),
    ],
)
def test_a_line_that_cannot_be_used(handraise: Command, tmp_path: Path, wrong: Line | str, what: str) -> None:
    """Told with its number, what is wrong and a remedy; exit code 2, and no hash is left behind."""
    told(handraise, tmp_path, STORY)
    answer = told(handraise, tmp_path, [STORY[0], "", wrong, STORY[1]])
    assert answer.code == 2
    assert what in answer.err and "events.jsonl, line 3" in answer.err and "remedy" in answer.err
    assert not (tmp_path / "out" / "hash").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "nothing says what for"),
        (["--events", "x.jsonl"], "nothing says what for"),
        (["--events", "x.jsonl", "--verify"], "--events folds a file"),
        (["--from", "2026-11-22", "--verify"], "--from and --to choose what is written"),
        (["--events", "none.jsonl", "--out", "out"], "the events cannot be read"),
        (["--events", "none.jsonl", "--out", "out", "--rules", "none"], "there is no such rules folder"),
        (["--to", "later", "--out", "out"], '"later" is no time'),
    ],
)
def test_wrong_use(
    handraise: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], what: str
) -> None:
    """What cannot be meant is told, with exit code 2."""
    monkeypatch.chdir(tmp_path)
    answer = handraise("replay", *words)
    assert answer.code == 2
    assert what in answer.err
