"""The system's programs that development needs: found, installed where that is ours to do, or named in one command."""

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

from deploy.problem import Problem

OLDEST_JAVA = 17  # what Kafka 4 brokers run on


@dataclass(frozen=True)
class Tool:
    """A program: what it is for, how it is found, and its package by package manager (first that exists counts)."""

    name: str
    purpose: str
    find: Callable[[], str | None]
    packages: Mapping[str, tuple[str, ...]]


def _which(*names: str) -> Callable[[], str | None]:
    return lambda: next((path for name in names if (path := shutil.which(name))), None)


def java() -> str | None:
    """Return the path of a Java that is new enough: JAVA_HOME's, PATH's, or any the system keeps."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    candidates += [path for path in [shutil.which("java")] if path]
    candidates += sorted(map(str, Path("/usr/lib/jvm").glob("*/bin/java")), reverse=True)
    candidates += ["/opt/homebrew/opt/openjdk/bin/java", "/usr/local/opt/openjdk/bin/java"]
    return next((path for path in candidates if _java_version(path) >= OLDEST_JAVA), None)


@cache
def _java_version(path: str) -> int:
    """Return the major version of that Java, 0 when it is none (macOS has a java that only asks for one)."""
    try:
        shown = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(\d+)', shown.stderr)
    return int(found.group(1)) if found else 0


JAVA = Tool(
    "java",
    f"Java {OLDEST_JAVA} or newer runs the Kafka broker",
    java,
    {
        "apt": ("openjdk-21-jre-headless", "openjdk-17-jre-headless", "default-jre-headless"),
        "dnf": ("java-21-openjdk-headless",),
        "brew": ("openjdk",),
    },
)
MAVEN = Tool(
    "mvn", "Maven fetches the Kafka broker", _which("mvn"), {"apt": ("maven",), "dnf": ("maven",), "brew": ("maven",)}
)
REDIS = Tool(
    "redis-server",
    "Redis keeps the read side",
    _which("redis-server", "valkey-server"),
    {"apt": ("redis-server", "valkey-server"), "dnf": ("valkey",), "brew": ("redis",)},
)
CHROMIUM = Tool(
    "chromium",
    "the browser tests drive it",
    _which("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    {"apt": ("chromium",), "dnf": ("chromium",), "brew": ("--cask chromium",)},
)
NODE = Tool(
    "npm",
    "npm fetches the trackers that browsers load",
    _which("npm"),
    {"apt": ("npm",), "dnf": ("npm",), "brew": ("node",)},
)
VENV = Tool(
    "ensurepip",
    "Python's venv module makes the virtual environment",
    lambda: "ensurepip" if find_spec("ensurepip") else None,
    {"apt": ("python3-venv",), "dnf": ("python3",), "brew": ("python3",)},
)
COMPILER = Tool(
    "cc",
    "a C compiler makes the lead fold fast",
    _which("cc", "gcc", "clang"),
    {"apt": ("gcc",), "dnf": ("gcc",), "brew": ("gcc",)},
)
HEADERS = Tool(
    "Python.h",
    "what is compiled for Python includes it",
    lambda: next(filter(os.path.exists, [f"{sysconfig.get_path('include')}/Python.h"]), None),
    {"apt": ("python3-dev",), "dnf": ("python3-devel",), "brew": ("python3",)},
)
ALL = (VENV, JAVA, MAVEN, REDIS, CHROMIUM, NODE)
ONLY_FOR_TESTS = (COMPILER, HEADERS)
"""Who only runs the system does without; the tests hold what is compiled to what is not."""


def missing(tools: Iterable[Tool]) -> list[Tool]:
    """Return those of the tools that this system does not have."""
    return [tool for tool in tools if tool.find() is None]


def docker() -> bool:
    """Whether a Docker engine with Compose answers; an installed client alone is not one."""
    if shutil.which("docker") is None:
        return False
    for question in (["docker", "info", "--format", "{{.ServerVersion}}"], ["docker", "compose", "version"]):
        try:
            if subprocess.run(question, capture_output=True, timeout=10, check=False).returncode != 0:
                return False
        except subprocess.TimeoutExpired:
            return False
    return True


def may_install() -> bool:
    """Whether installing is ours to do: as root, where apt is."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def require(tools: Iterable[Tool], say: Callable[[str], None] = print) -> None:
    """Make the tools be there: root on a Debian-like system installs them, others are told the one command."""
    wanted = missing(tools)
    if not wanted:
        return
    if may_install():
        _apt_install(wanted, say)
        invalidate_caches()  # Python remembers which of its own modules were not there
        wanted = missing(wanted)
    if wanted:
        raise Problem(
            "; ".join(f"{tool.name} is missing ({tool.purpose})" for tool in wanted),
            "this system's PATH",
            f"run: {command(wanted)}",
        )


def command(tools: Iterable[Tool]) -> str:
    """Return the one command that installs the tools here; all three when the package manager is not known."""
    lines = {
        "apt": "sudo apt-get install -y --no-install-recommends",
        "dnf": "sudo dnf install -y",
        "brew": "brew install",
    }
    present = {"apt": "apt-get", "dnf": "dnf", "brew": "brew"}
    wanted = list(tools)
    known = [manager for manager, program in present.items() if shutil.which(program)]
    return "\n       or: ".join(
        " ".join([lines[manager], *(_package(tool, manager) for tool in wanted)])
        for manager in known[:1] or list(lines)
    )


def _package(tool: Tool, manager: str) -> str:
    """Return the tool's package under that manager; with apt the first one the system's lists know."""
    names = tool.packages[manager]
    if manager == "apt" and len(names) > 1:
        return next((name for name in names if _apt_knows(name)), names[0])
    return names[0]


def _apt_knows(package: str) -> bool:
    if shutil.which("apt-cache") is None:
        return False
    shown = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    return shown.returncode == 0


def _apt_install(tools: list[Tool], say: Callable[[str], None]) -> None:
    """Install by apt, without questions; failure is left for the caller to see: the tools are still missing."""
    say("installing with apt: " + ", ".join(tool.name for tool in tools))
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=quiet, stdin=subprocess.DEVNULL, check=False)
    packages = [_package(tool, "apt") for tool in tools]  # after the update: before it the lists may be empty
    subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        env=quiet,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
