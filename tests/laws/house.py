"""The house rules, as functions from a source tree to the list of what breaks them: phrases with file and line.

They take the root as an argument, so that a test can plant a violation in a tree of its own and see it caught.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LONGEST_FILE_LINES = 400
FOLDERS = {
    *("schemas", "streams", "agents", "gateway", "console", "serving", "handraise", "rules", "deploy"),
    *("tests", "bench", "docs", ".ci"),
}


@dataclass(frozen=True)
class Room:
    """What a room's modules may import beside the standard library and themselves."""

    rooms: frozenset[str] = frozenset()
    packages: frozenset[str] | None = frozenset()  # None: whatever the product depends on


_DATA = frozenset({"fastavro", "msgspec"})
_HTTP = frozenset({"aiokafka", "uvloop", "starlette", "prometheus_client", "structlog"})
_LOOKUPS = frozenset({"email_validator", "phonenumbers", "crawleruseragents", "iptocc", "tldextract"})
ROOMS = {
    "schemas": Room(packages=_DATA),
    "streams": Room(frozenset({"schemas"}), _DATA),
    "agents": Room(
        frozenset({"streams", "schemas"}),
        frozenset({"faust", "mode", "aiokafka", "prometheus_client", "structlog", "uvloop", "msgspec"})
        | frozenset({"redis", "httpx", "aiosmtplib"}),
    ),
    "serving": Room(),
    "gateway": Room(
        frozenset({"serving", "streams", "schemas"}), _DATA | _HTTP | _LOOKUPS | frozenset({"redis", "httptools"})
    ),
    "console": Room(
        frozenset({"serving", "streams", "schemas"}),
        _DATA | _HTTP | {"redis", "jinja2", "markupsafe", "sse_starlette", "uvicorn"},
    ),
    "handraise": Room(frozenset({"agents", "gateway", "console", "serving", "streams", "schemas", "deploy"}), None),
    "deploy": Room(),
}

# What of the standard library gives the same answer to the same arguments, on every machine and at any time.
PURE_MODULES = {
    *("__future__", "abc", "array", "base64", "bisect", "collections", "contextlib", "dataclasses", "datetime", "enum"),
    *("fractions", "functools", "hashlib", "heapq", "hmac", "itertools", "json", "operator", "re", "string", "struct"),
    *("tomllib", "types", "typing", "unicodedata", "zlib"),
}
# hash() differs from run to run; the rest reads or writes the world, or rounds as the machine's libm does.
BANNED_CALLS = frozenset({"hash", "open", "print", "input", "pow", "exec", "eval", "breakpoint", "id", "__import__"})
BANNED_METHODS = frozenset({"now", "utcnow", "today", "fromtimestamp"})  # clock and local time zone

# Live by tests alone, with good reason: the models of a log and of a worker, which the lane's contract suite holds to
# the real ones, and the text of docs/topics.md, which a test holds to the topic table.
LIVE_BY_TESTS = frozenset({"agents/lane/memory_log.py", "agents/lane/simulated.py", "schemas/reference.py"})

_MACHINE_PATH = re.compile(r"(?<![\w.-])/(?:work/|root/|home/[a-z]|Users/|opt/wheels)")
_REGISTRY = re.compile(
    "|".join(
        re.escape(".".join(name))
        for name in (
            ("files", "pythonhosted", "org"),
            ("pypi", "org"),
            ("registry", "npmjs", "org"),
            ("registry", "yarnpkg", "com"),
            ("repo1", "maven", "org"),
            ("repo", "maven", "apache", "org"),
            ("proxy", "golang", "org"),
        )
    )
)


def files(root: Path) -> list[Path]:
    """Return the tree's files that are tracked or would be; all of them where there is no repository."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = [root / name for name in listed.stdout.split("\0") if name] if listed.returncode == 0 else root.rglob("*")
    return sorted({path for path in found if path.is_file()})


def sources(root: Path, *folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Yield each Python file of those folders (all when none is named) with its syntax tree."""
    for path in files(root):
        if path.suffix == ".py" and (not folders or path.relative_to(root).parts[0] in folders):
            yield path, ast.parse(path.read_text(), str(path))


def imports(path: Path, tree: ast.Module, root: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of all imports, relative ones resolved; ``from a import b`` gives a.b as well as a."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def import_law(root: Path) -> list[str]:
    """Rooms import only what the architecture lets them."""
    wrong = []
    for path, tree in sources(root, *ROOMS):
        name = path.relative_to(root).parts[0]
        room = ROOMS[name]
        for line, module in imports(path, tree, root):
            top = module.split(".")[0]
            if top == name or top in sys.stdlib_module_names or top in room.rooms:
                continue
            if room.packages is None and top not in ROOMS and top not in FOLDERS:
                continue
            if top not in (room.packages or ()):
                wrong.append(f"{path.relative_to(root)}:{line} {name} imports {top}")
    return sorted(set(wrong))


def pure_core(root: Path) -> list[str]:
    """Below streams/ nothing reads a clock, draws a lot, does I/O, logs, or computes with libm."""
    wrong = []
    for path, tree in sources(root, "streams"):
        where = path.relative_to(root)
        for line, module in imports(path, tree, root):
            top = module.split(".")[0]
            if top in sys.stdlib_module_names and top not in PURE_MODULES:
                wrong.append(f"{where}:{line} imports {top}, which is not on the list of pure modules")
        wrong += [f"{where}:{line} {phrase}" for node in ast.walk(tree) for line, phrase in _impure(node)]
    return sorted(set(wrong))


def _impure(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in BANNED_CALLS:
            yield node.lineno, f"calls {node.func.id}()"
        elif isinstance(node.func, ast.Attribute) and node.func.attr in BANNED_METHODS:
            yield node.lineno, f"calls .{node.func.attr}()"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        whole = all(isinstance(side, ast.Constant) and isinstance(side.value, int) for side in (node.left, node.right))
        if not whole:
            yield node.lineno, "raises to a power that may be a float's (libm): use a table"
    elif isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
        yield node.lineno, "is asynchronous"


def apart(root: Path, folder: str) -> list[str]:
    """Modules of ``folder`` import nothing of the product but its contracts: shared code would share its errors."""
    return [
        f"{path.relative_to(root)}:{line} imports {module}"
        for path, tree in sources(root)
        if path.is_relative_to(root / folder) and not path.name.startswith("test_")
        for line, module in imports(path, tree, root)
        if module.split(".")[0] in ROOMS.keys() - {"schemas"}
    ]


def stray_folders(root: Path) -> list[str]:
    """Top-level folders are the rooms and what the architecture names beside them."""
    tops = {path.relative_to(root).parts[0] for path in files(root) if path.parent != root}
    return sorted(tops - FOLDERS)


def dead_files(root: Path) -> list[str]:
    """Each module is an entry point, or imported by another or named in a string there (Faust's dotted URLs).

    Modules of the product that only tests import are dead too; helpers of tests and benchmarks live by any use.
    """
    trees = dict(sources(root))
    product, everywhere = set(_scripts(root)), set()
    for path, tree in trees.items():
        used = _used(path, tree, root)
        everywhere |= used
        if path.relative_to(root).parts[0] != "tests":
            product |= used
    dead = []
    for path, tree in trees.items():
        relative = path.relative_to(root)
        entry = path.name in {"__init__.py", "__main__.py", "conftest.py"} or path.name.startswith("test_")
        living = everywhere if relative.parts[0] in {"tests", "bench"} else product
        if relative.as_posix() in LIVE_BY_TESTS:
            living = everywhere
        if not entry and not _is_program(tree) and ".".join(relative.with_suffix("").parts) not in living:
            dead.append(str(relative))
    return dead


def _used(path: Path, tree: ast.Module, root: Path) -> set[str]:
    """Return the dotted names a module imports or has in its strings, with all their stems; not its own."""
    names = {name for _, name in imports(path, tree, root)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= set(re.findall(r"\b[a-z_]+(?:\.[a-z_]+)+\b", node.value))
    stems = {".".join(name.split(".")[:length]) for name in names for length in range(1, name.count(".") + 2)}
    return stems - {".".join(path.relative_to(root).with_suffix("").parts)}


def _scripts(root: Path) -> list[str]:
    """Return the modules that the project file names as commands."""
    project = root / "pyproject.toml"
    table = tomllib.loads(project.read_text()).get("project", {}).get("scripts", {}) if project.exists() else {}
    return [target.split(":")[0] for target in table.values()]


def _is_program(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.If) and "__main__" in ast.dump(node.test) for node in tree.body)


def long_files(root: Path) -> list[str]:
    """No Python or Cython file is longer than a person reads in one go."""
    sources = (path for path in files(root) if path.suffix in {".py", ".pyx", ".pxi"})
    lengths = {path: len(path.read_text().splitlines()) for path in sources}
    return [f"{path.relative_to(root)} has {n} lines" for path, n in lengths.items() if n > LONGEST_FILE_LINES]


def machine_names(root: Path) -> list[str]:
    """No file names a path of somebody's machine nor the host of a package registry: they are that machine's affair."""
    wrong = []
    for path in files(root):
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue  # binary: examples of records
        for number, line in enumerate(lines, 1):
            found = _MACHINE_PATH.search(line) or _REGISTRY.search(line)
            if found:
                wrong.append(f"{path.relative_to(root)}:{number} names {found.group()}")
    return wrong


def tests_that_do_not_speak(root: Path) -> list[str]:
    """Each test says its law in a docstring, and none is skipped or expected to fail."""
    wrong = []
    for path, tree in sources(root, "tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                if not ast.get_docstring(node):
                    wrong.append(f"{path.relative_to(root)}:{node.lineno} {node.name} says no law")
            elif isinstance(node, ast.Attribute) and node.attr in {"skip", "skipif", "xfail", "importorskip"}:
                wrong.append(f"{path.relative_to(root)}:{node.lineno} uses {node.attr}")
    return wrong
