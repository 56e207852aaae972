"""The Kafka broker's jars: fetched by Maven from a pinned project file, verified by SHA-256 before each use."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy import tools
from deploy.problem import Problem

FILES = Path(__file__).parent / "kafka"
KAFKA_VERSION = "4.1.1"  # as in kafka/pom.xml, kafka/jars.sha256 and the image in docker-compose.yml


def cache_folder() -> Path:
    """Return the folder downloads are kept in between checkouts (XDG Base Directory specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "handraise"


def locked() -> dict[str, str]:
    """Return jar name -> SHA-256 as the lock file has it."""
    lines = (FILES / "jars.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines if line)}


def differences(folder: Path) -> list[str]:
    """Return what in the folder is not as the lock file says, one phrase each; empty when all is well."""
    expected = locked()
    present = {path.name: path for path in folder.glob("*.jar")}
    found = [f"{name} is missing" for name in sorted(expected.keys() - present.keys())]
    found += [f"{name} is not in the lock file" for name in sorted(present.keys() - expected.keys())]
    for name in sorted(expected.keys() & present.keys()):
        if hashlib.sha256(present[name].read_bytes()).hexdigest() != expected[name]:
            found.append(f"{name} has another SHA-256")
    return found


def fetch(say: Callable[[str], None] = print) -> Path:
    """Return the folder with the verified jars, fetching them when they are not there yet (43 MB).

    Several processes may ask at once: one fetches, the others wait for it. Raises Problem when Maven fails or what it
    brought is not what the lock file says.
    """
    folder = cache_folder() / f"kafka-{KAFKA_VERSION}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir() and not differences(folder):
            return folder
        tools.require([tools.JAVA, tools.MAVEN], say)
        say(f"fetching Kafka {KAFKA_VERSION} with Maven")
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            fresh = Path(scratch) / "jars"
            _maven(fresh)
            wrong = differences(fresh)
            if wrong:
                raise Problem(
                    f"the Kafka jars are not the pinned ones: {'; '.join(wrong[:3])}",
                    f"{FILES / 'jars.sha256'}",
                    "delete org/apache/kafka in your Maven repository and try again; if it stays so, check your mirror",
                )
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
    return folder


def _maven(target: Path) -> None:
    """Copy the project's runtime dependencies to the target folder; a Problem with Maven's own words when it fails."""
    run = subprocess.run(
        [
            *("mvn", "-B", "-q", "-f", str(FILES / "pom.xml"), "dependency:copy-dependencies"),
            *(f"-DoutputDirectory={target}", "-DincludeScope=runtime"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        words = [line for line in (run.stdout + run.stderr).splitlines() if "ERROR" in line]
        raise Problem(
            f"Maven could not fetch Kafka: {(words or ['no reason given'])[0]}",
            f"{FILES / 'pom.xml'}",
            "see that this machine reaches a Maven repository (or its mirror in ~/.m2/settings.xml), then try again",
        )
