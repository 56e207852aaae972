"""What contenders need, made on first use under build/peers: a venv each by a locked list, Kafka Streams by Maven."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from handraise.settings import ROOT

HERE = Path(__file__).parent
BUILD = ROOT / "build" / "peers"
_LIMIT_S = 900


class Unavailable(Exception):  # noqa: N818 - it is a finding, not an error
    """A contender cannot be had here; says why."""


@functools.cache
def python(name: str) -> str:
    """The interpreter of a contender's own environment, installed by requirements/NAME.txt; raises Unavailable."""
    wanted = HERE / "requirements" / f"{name}.txt"
    folder, digest = BUILD / name, hashlib.sha256(wanted.read_bytes()).hexdigest()
    mark, interpreter = folder / "installed", folder / "bin" / "python"
    if not mark.exists() or mark.read_text() != digest:
        print(f"installing {name} into {folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _do(sys.executable, "-m", "venv", str(folder))
        pip = (str(interpreter), "-m", "pip", "--disable-pip-version-check", "-q", "install")
        _do(*pip, "--require-hashes", "--only-binary=:all:", "-r", str(wanted))
        mark.write_text(digest)
    return str(interpreter)


@functools.cache
def java() -> list[str]:
    """`java` with the class path of the compiled Kafka Streams contender; raises Unavailable."""
    folder = BUILD / "kafka_streams"
    sources = [HERE / "kafka_streams" / "pom.xml", *sorted((HERE / "kafka_streams").glob("*.java"))]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    mark = folder / "built"
    for program in ("java", "javac", "mvn"):
        if not shutil.which(program):
            raise Unavailable(f"there is no {program} here")
    if not mark.exists() or mark.read_text() != digest:
        print(f"building Kafka Streams in {folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        jars = f"-DoutputDirectory={folder / 'jars'}"
        _do("mvn", "-B", "-q", "-f", str(sources[0]), "dependency:copy-dependencies", "-DincludeScope=runtime", jars)
        classes = ("-d", str(folder / "classes"), "-cp", str(folder / "jars" / "*"))
        _do("javac", *classes, *map(str, sources[1:]))
        mark.write_text(digest)
    return ["java", "-cp", f"{folder / 'classes'}{os.pathsep}{folder / 'jars'}/*"]


def _do(*command: str) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from error
    if done.returncode:
        words = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line.upper()]
        raise Unavailable((words or ["no reason given"])[0].strip())
