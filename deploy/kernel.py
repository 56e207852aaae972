"""``python -m deploy.kernel [--required]``: compile the lead fold's kernel in place, where that can be.

The kernel is optional: without it the lead fold runs in Python alone and publishes the same.  What was compiled from
other sources is removed, whether it can be replaced or not.  ``--required``: fail where it cannot be compiled.
"""

import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from deploy import tools
from deploy.problem import Problem

STREAMS = Path(__file__).resolve().parents[1] / "streams"
FLAGS = ("-fPIC", "-O2", "-fwrapv", "-DNDEBUG")


def compile_kernel(folder: Path = STREAMS, flags: Sequence[str] = FLAGS) -> Path | None:
    """Compile `folder`/kernel.pyx into a module beside it, if it is not up to date; None where that cannot be.

    Raises Problem where the compiler refuses it.
    """
    module = folder / f"kernel{sysconfig.get_config_var('EXT_SUFFIX')}"
    sources = [folder / "kernel.pyx", *folder.glob("kernel_*.pxi")]
    if module.exists() and module.stat().st_mtime_ns >= max(source.stat().st_mtime_ns for source in sources):
        return module
    module.unlink(missing_ok=True)
    compiler = tools.COMPILER.find()
    if compiler is None or tools.missing([tools.HEADERS]) or find_spec("Cython") is None:
        return None
    made, new = folder / "kernel.c", module.with_suffix(".new")
    try:
        _run([sys.executable, "-m", "cython", "-3", str(sources[0]), "-o", str(made)])
        # How this Python links a module: `gcc -shared` here, `clang -bundle …` there.
        link = shlex.split(sysconfig.get_config_var("LDSHARED") or "cc -shared")[1:]
        _run([compiler, *link, *flags, f"-I{sysconfig.get_path('include')}", str(made), "-o", str(new)])
        new.replace(module)
    finally:
        made.unlink(missing_ok=True)
        new.unlink(missing_ok=True)
    return module


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Problem(f"the kernel does not compile:\n{done.stdout}{done.stderr}", " ".join(command), "mend the source")


def main(arguments: list[str], folder: Path = STREAMS) -> int:
    """Returns the exit code: 0 also where the kernel is not there and not required."""
    try:
        if compile_kernel(folder):
            return 0
        left = tools.missing([tools.COMPILER, tools.HEADERS])
        why = f"to compile its kernel: {tools.command(left)}, then `make setup`" if left else "Cython is not installed"
    except Problem as problem:
        why = str(problem)
    print(f"the lead fold runs in Python alone, at a fraction of its speed; {why}", file=sys.stderr)
    return int("--required" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
