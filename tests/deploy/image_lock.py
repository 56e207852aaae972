"""The image's lock file: those pins of requirements.lock that the product is built and run with, tests' tools left out.

``python -m tests.deploy.image_lock`` writes it anew after requirements.lock has changed.
"""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
IMAGE_LOCK = ROOT / "deploy" / "requirements.lock"


def pins() -> dict[str, str]:
    """Return package -> its block in requirements.lock: the pin and its hashes, comments left out."""
    blocks: dict[str, str] = {}
    name = ""
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if found := re.match(r"([A-Za-z0-9_.-]+)(\[[^]]*])?==", line):
            name = canonicalize_name(found.group(1))
            blocks[name] = line
        elif line.lstrip().startswith("--hash"):
            blocks[name] += "\n" + line
    return blocks


def needed() -> set[str]:
    """Return what the project is built with and runs with, and all that this needs, by what is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    open_ends = [Requirement(line) for line in lines]
    seen: set[tuple[str, frozenset[str]]] = set()
    while open_ends:
        requirement = open_ends.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        for line in _requires(requirement.name):
            child = Requirement(line)
            extras = ["", *requirement.extras]
            if child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in extras):
                open_ends.append(child)
    return {name for name, _ in seen}


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError as error:
        raise AssertionError(f"{name} is needed and not installed here; run `make setup`") from error


def text() -> str:
    """Return what the image's lock file must say."""
    blocks = pins()
    head = "# Made from requirements.lock by `python -m tests.deploy.image_lock`: what the image installs.\n"
    return head + "".join(blocks[name].rstrip(" \\") + "\n" for name in sorted(needed()))


if __name__ == "__main__":
    IMAGE_LOCK.write_text(text())
