from collections.abc import Callable
from pathlib import Path

import pytest

from tests.laws import house

ROOT = Path(__file__).parents[2]
LAWS: list[Callable[[Path], list[str]]] = [
    house.import_law,
    house.pure_core,
    house.stray_folders,
    house.dead_files,
    house.long_files,
    house.machine_names,
    house.tests_that_do_not_speak,
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_house_keeps_its_rules(law: Callable[[Path], list[str]]) -> None:
    """The tree breaks none of the house rules."""
    assert law(ROOT) == []


def test_the_oracle_shares_no_code_with_what_it_judges() -> None:
    """The naive count that scores are compared with imports nothing of the product but its contracts."""
    assert house.apart(ROOT, "tests/oracle") == []


def _plant(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "caught"),
    [
        ("schemas/a.py", "from streams import fold", "schemas/a.py:1 schemas imports streams"),
        ("streams/a.py", "import aiokafka", "streams/a.py:1 streams imports aiokafka"),
        ("agents/a.py", "def f():\n    import gateway.app", "agents/a.py:2 agents imports gateway"),
        ("agents/lane/a.py", "from handraise.settings import x", "agents/lane/a.py:1 agents imports handraise"),
        ("gateway/a.py", "import faust", "gateway/a.py:1 gateway imports faust"),
        ("console/a.py", "from gateway import facts", "console/a.py:1 console imports gateway"),
        ("console/b.py", "from agents import desk", "console/b.py:1 console imports agents"),
        ("handraise/a.py", "from tests import story", "handraise/a.py:1 handraise imports tests"),
        ("deploy/a.py", "import yaml", "deploy/a.py:1 deploy imports yaml"),
    ],
)
def test_a_forbidden_import_is_caught(tmp_path: Path, name: str, text: str, caught: str) -> None:
    """An import against the law is found in any room, also inside a function."""
    _plant(tmp_path, name, text)
    assert house.import_law(tmp_path) == [caught]


def test_allowed_imports_pass(tmp_path: Path) -> None:
    """What the architecture allows is no violation, relative imports of the own room included."""
    _plant(tmp_path, "streams/a.py", "import msgspec\nfrom schemas import topics\nfrom . import fold\nimport hashlib")
    _plant(tmp_path, "handraise/cli.py", "import click\nfrom agents.lane import loop\nfrom deploy import local")
    assert house.import_law(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("import time", "imports time, which is not on the list of pure modules"),
        ("from random import random", "imports random, which is not on the list of pure modules"),
        ("import os.path", "imports os, which is not on the list of pure modules"),
        ("import logging", "imports logging, which is not on the list of pure modules"),
        ("import asyncio", "imports asyncio, which is not on the list of pure modules"),
        ("import socket", "imports socket, which is not on the list of pure modules"),
        ("import math", "imports math, which is not on the list of pure modules"),
        ("x = datetime.now()", "calls .now()"),
        ("x = hash('a')", "calls hash()"),
        ("x = open('a')", "calls open()"),
        ("print('a')", "calls print()"),
        ("x = y ** 0.5", "raises to a power that may be a float's (libm): use a table"),
        ("async def f(): ...", "is asynchronous"),
    ],
)
def test_an_impure_core_is_caught(tmp_path: Path, text: str, caught: str) -> None:
    """Clock, chance, I/O, logs, run-dependent hashes and libm are found in the core."""
    _plant(tmp_path, "streams/a.py", text)
    assert house.pure_core(tmp_path) == [f"streams/a.py:1 {caught}"]


def test_whole_constants_may_be_powers(tmp_path: Path) -> None:
    """A power of two written out is arithmetic on integers, the same everywhere."""
    _plant(tmp_path, "streams/a.py", "SCALE = 2**16")
    assert house.pure_core(tmp_path) == []


def test_an_oracle_that_borrows_is_caught(tmp_path: Path) -> None:
    """An oracle that imports the core is found."""
    _plant(tmp_path, "tests/oracle/naive.py", "from streams.score import score")
    assert "tests/oracle/naive.py:1 imports streams.score" in house.apart(tmp_path, "tests/oracle")


def test_a_stray_folder_is_caught(tmp_path: Path) -> None:
    """A folder the architecture does not name is found; files at the top are no folders."""
    _plant(tmp_path, "utils/a.py", "")
    _plant(tmp_path, "setup.cfg", "")
    assert house.stray_folders(tmp_path) == ["utils"]


def test_a_dead_file_is_caught(tmp_path: Path) -> None:
    """A module that nobody imports is dead, also when a test does; imports, dotted strings and programs give life."""
    _plant(tmp_path, "streams/dead.py", "")
    _plant(tmp_path, "streams/alive.py", "")
    _plant(tmp_path, "agents/lane/store.py", "")
    _plant(tmp_path, "agents/app.py", "from streams import alive\nSTORE = 'agents.lane.store.memory://'")
    _plant(tmp_path, "handraise/cli.py", "from agents import app")
    _plant(tmp_path, "pyproject.toml", '[project.scripts]\nhandraise = "handraise.cli:main"')
    _plant(tmp_path, "deploy/local.py", 'if __name__ == "__main__":\n    pass')
    _plant(tmp_path, "tests/streams/test_dead.py", "from streams import dead")
    _plant(tmp_path, "tests/lost.py", "")
    assert house.dead_files(tmp_path) == ["streams/dead.py", "tests/lost.py"]


def test_a_long_file_is_caught(tmp_path: Path) -> None:
    """One line too many is found."""
    _plant(tmp_path, "streams/long.py", "x = 1\n" * 401)
    _plant(tmp_path, "streams/fits.py", "x = 1\n" * 400)
    assert house.long_files(tmp_path) == ["streams/long.py has 401 lines"]


@pytest.mark.parametrize(
    "text", ["/" + "root/.cache", "see /" + "work/x", "/" + "home/ana/x", "https://" + "pypi" + ".org/simple"]
)
def test_a_name_of_a_machine_is_caught(tmp_path: Path, text: str) -> None:
    """A path of somebody's machine or a registry's host is found in any text file."""
    _plant(tmp_path, "docs/a.md", f"one\n{text}\n")
    assert [found.split(" ")[0] for found in house.machine_names(tmp_path)] == ["docs/a.md:2"]


def test_a_silent_or_skipped_test_is_caught(tmp_path: Path) -> None:
    """A test without a law and a skip mark are both found."""
    _plant(tmp_path, "tests/test_a.py", "import pytest\n@pytest.mark.skip\ndef test_a(): ...")
    found = house.tests_that_do_not_speak(tmp_path)
    assert sorted(phrase.split(" ", 1)[1] for phrase in found) == ["test_a says no law", "uses skip"]
