import os
import sys
from pathlib import Path

import pytest

from deploy import kernel
from deploy.kernel import compile_kernel
from deploy.problem import Problem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A kernel of one line, in two files."""
    (tmp_path / "kernel.pyx").write_text('include "kernel_part.pxi"\n')
    (tmp_path / "kernel_part.pxi").write_text("ANSWER = 42\n")
    return tmp_path


def test_the_kernel_is_compiled_once_and_anew_when_a_source_is_newer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compiled is a module beside its source, nothing else is left there, and it is kept while it is newest."""
    module = compile_kernel(folder, (*kernel.FLAGS, "-O0"))
    assert module is not None
    assert {path.name for path in folder.iterdir()} == {"kernel.pyx", "kernel_part.pxi", module.name}
    made = module.stat().st_mtime_ns
    assert compile_kernel(folder) == module
    assert module.stat().st_mtime_ns == made
    monkeypatch.syspath_prepend(folder)
    import kernel as compiled  # type: ignore[import-not-found]

    assert compiled.ANSWER == 42
    del sys.modules["kernel"]


def test_without_a_compiler_what_is_out_of_date_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of other sources is worse than none: the fold in Python publishes what is right."""
    module = compile_kernel(folder, (*kernel.FLAGS, "-O0"))
    assert module is not None
    monkeypatch.setenv("PATH", str(folder))
    assert compile_kernel(folder) == module
    source = folder / "kernel_part.pxi"
    times = (module.stat().st_atime_ns, module.stat().st_mtime_ns + 1)
    os.utime(source, ns=times)
    assert compile_kernel(folder) is None
    assert not module.exists()


def test_the_kernel_is_optional_unless_it_is_required(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a compiler one line says that Python runs alone and what to do; only who asks for the kernel fails."""
    monkeypatch.setenv("PATH", str(folder))
    assert kernel.main([], folder) == 0
    assert "runs in Python alone" in capsys.readouterr().err
    assert kernel.main(["--required"], folder) == 1


def test_a_source_that_does_not_compile_is_a_problem(folder: Path) -> None:
    """What the compiler says is told, and no module is left."""
    (folder / "kernel_part.pxi").write_text("cdef int x = \n")
    with pytest.raises(Problem, match="kernel_part"):
        compile_kernel(folder)
    assert not list(folder.glob("*.so"))
