"""Processes that outlive their starter, and the proof that a pid is still the one that was started."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy import probe
from deploy.problem import Problem


def command_line(pid: int) -> str:
    """Return the command line of a live process, "" when there is none (or it is a zombie)."""
    proc = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


class Process:
    """One server process: started in a session of its own, known by a pid file, recognised by its command line.

    ``marks`` are texts that all stand in its command line and in no other's: a pid alone may have been given to
    somebody else since the file was written.
    """

    def __init__(self, name: str, home: Path, marks: Sequence[str]) -> None:
        self.name = name
        self.pid_file = home / f"{name}.pid"
        self.log_file = home / f"{name}.log"
        self._marks = tuple(marks)
        self._child: subprocess.Popen[bytes] | None = None
        self._log_from = 0  # where this start's output begins in the log file

    @property
    def pid(self) -> int | None:
        """The pid while it lives, else None."""
        if self._child is not None:
            return self._child.pid if self._child.poll() is None else None
        try:
            pid = int(json.loads(self.pid_file.read_text())["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        shown = command_line(pid)
        return pid if shown and all(mark in shown for mark in self._marks) else None

    def spawn(self, command: Sequence[str], env: dict[str, str] | None = None) -> None:
        """Start it in the background, its output appended to the log file, its pid written down."""
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._log_from = log.tell()
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                start_new_session=True,  # Ctrl-C in the terminal is for the starter, who ends things in order
            )
        self.pid_file.write_text(json.dumps({"pid": self._child.pid, "program": command[0]}))

    def end(self, sign: int = signal.SIGTERM, patience_s: float = 30.0) -> bool:
        """Signal it and wait for its end, with SIGKILL when patience is over; returns whether it was alive."""
        pid = self.pid
        if pid is None:
            self.pid_file.unlink(missing_ok=True)
            return False
        os.kill(pid, sign)
        if not probe.wait(lambda: self.pid is None, patience_s, pause_s=0.02):
            os.kill(pid, signal.SIGKILL)
            probe.wait(lambda: self.pid is None, 10.0, pause_s=0.02)
        self._child = None
        self.pid_file.unlink(missing_ok=True)
        return True

    def await_answer(self, answers: Callable[[], bool], timeout_s: float, remedy: str) -> None:
        """Wait until it answers; a Problem with its last words when it ends first or stays silent."""
        if probe.wait(lambda: answers() or self.pid is None, timeout_s) and self.pid is not None:
            return
        fate = "ended while starting" if self.pid is None else f"did not answer within {timeout_s:g} s"
        raise Problem(f"{self.name} {fate}: {self.last_words()}", str(self.log_file), remedy)

    def last_words(self) -> str:
        """Return the most telling line it logged since its start: the last complaint, else the last line."""
        try:
            lines = self.log_file.read_bytes()[self._log_from :].decode(errors="replace").splitlines()
        except OSError:
            return "it wrote no log"
        telling = [
            line for line in lines if any(word in line for word in ("rror", "ERROR", "FATAL", "Exception", "# "))
        ]
        return (telling or lines or ["it logged nothing"])[-1].strip()
