"""A gateway in a process of its own, for tests and the benchmark: `python -m tests.gateway.process CONFIG.json`."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from gateway.connection import Limits
from gateway.server import GatewayConfig, run
from serving.server import StartError
from tests.gateway.conftest import ROOT, config


def arguments(**changes: Any) -> str:
    """A configuration as one word."""
    made = config(**{"sources_text": (ROOT / "rules/sources.toml").read_text(encoding="utf-8"), "port": 0, **changes})
    fields = {name: getattr(made, name) for name in GatewayConfig.__dataclass_fields__}
    fields["id_secret"], fields["browser_build"] = made.id_secret.hex(), str(made.browser_build)
    return base64.b64encode(json.dumps(fields).encode()).decode()


def parsed(word: str) -> GatewayConfig:
    """The configuration in that word."""
    fields = json.loads(base64.b64decode(word))
    fields["id_secret"], fields["browser_build"] = bytes.fromhex(fields["id_secret"]), Path(fields["browser_build"])
    fields["limits"] = Limits(*fields["limits"])
    return GatewayConfig(**fields)


class Running:
    """A gateway process and its port."""

    def __init__(self, child: "subprocess.Popen[str]", port: int) -> None:
        self.child, self.port = child, port
        self.url = f"http://127.0.0.1:{port}"

    def cpu_s(self) -> float:
        """CPU seconds that the process has used, in user mode and in the kernel."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """Resident memory in MiB."""
        pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def gateway(*, ends_with: int = 0, **changes: Any) -> Iterator[Running]:
    """Run a gateway until the block ends, then end it gracefully if it has not ended; `ends_with`: its exit code."""
    command = [sys.executable, "-m", "tests.gateway.process", arguments(**changes)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            line = child.stdout.readline()
            assert line.startswith("port "), f"the gateway did not start: {line}{child.stdout.read()}"
            yield Running(child, int(line.split()[1]))
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            code = child.wait(30)
    assert code == ends_with, f"the gateway ended with {code}"


def main() -> None:
    """Serve, say the port, end on SIGTERM; what is logged goes to stderr."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        made = parsed(sys.argv[1])
        run(made, lambda host, port: say(f"port {port}"))
    except StartError as error:
        say(str(error))
        sys.exit(2)


def say(line: str) -> None:
    """Tell the parent."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
