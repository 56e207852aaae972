"""Ask a server in its own language whether it serves: an open port alone proves nothing.

The questions are written by hand on a plain socket, so that nothing has to be installed to ask them. As a program,
``python -m deploy.probe http://HOST:PORT/PATH``, it is the healthcheck of our own containers: exit code 0 for a 200.
"""

import contextlib
import secrets
import socket
import struct
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Literal
from urllib.parse import urlsplit

Answer = Literal["yes", "other", "no"]  # it serves · something else listens there · nobody listens

_API_VERSIONS = 18  # Kafka protocol: the request every broker answers, whatever the versions
_CORRELATION = 0x68726169
_LOWEST_PORT, _HIGHEST_PORT = 20_000, 32_000


def kafka(port: int, host: str = "127.0.0.1", timeout_s: float = 2.0) -> Answer:
    """Send ApiVersions v0 and check correlation id and error code of what comes back."""
    client = b"handraise"
    body = struct.pack(">hhih", _API_VERSIONS, 0, _CORRELATION, len(client)) + client
    try:
        reply = _ask(host, port, struct.pack(">i", len(body)) + body, 10, timeout_s)
    except ConnectionRefusedError:
        return "no"
    except OSError:
        return "other"
    _, correlation, error = struct.unpack(">iih", reply)
    return "yes" if correlation == _CORRELATION and error == 0 else "other"


def redis(port: int, host: str = "127.0.0.1", timeout_s: float = 2.0) -> Answer:
    """Send PING; a server that wants a password first counts as something else: we have none to give."""
    try:
        reply = _ask(host, port, b"*1\r\n$4\r\nPING\r\n", 7, timeout_s)
    except ConnectionRefusedError:
        return "no"
    except OSError:
        return "other"
    return "yes" if reply == b"+PONG\r\n" else "other"


def http(url: str, timeout_s: float = 4.0) -> bool:
    """GET the URL; True for status 200. Any failure to answer is False."""
    parts = urlsplit(url)
    link = HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=timeout_s)
    try:
        link.request("GET", parts.path or "/")
        return link.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        link.close()


def _ask(host: str, port: int, question: bytes, answer_bytes: int, timeout_s: float) -> bytes:
    """Return the first ``answer_bytes`` of the answer; raises OSError when fewer come before the time is up."""
    with socket.create_connection((host, port), timeout_s) as link:
        if link.getsockname() == link.getpeername():  # a port in the ephemeral range can connect to itself
            raise ConnectionRefusedError(host, port)
        link.sendall(question)
        reply = b""
        while len(reply) < answer_bytes:
            part = link.recv(answer_bytes - len(reply))
            if not part:
                raise ConnectionResetError(f"{host}:{port} hung up after {len(reply)} bytes")
            reply += part
        return reply


def wait(done: Callable[[], bool], timeout_s: float, pause_s: float = 0.05) -> bool:
    """Ask until ``done()`` or the time is up; returns whether it was done."""
    end = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(pause_s)
    return True


def free_port() -> int:
    """Return a loopback port nobody listens on.

    Below the range the system gives to outgoing connections (32768 and up on Linux), so that no client takes a stopped
    broker's port, nor connects to itself while it waits for the broker to return.
    """
    while True:
        port = _LOWEST_PORT + secrets.randbelow(_HIGHEST_PORT - _LOWEST_PORT)
        with contextlib.suppress(OSError), socket.socket() as trial:
            trial.bind(("127.0.0.1", port))
            return port


if __name__ == "__main__":
    sys.exit(0 if http(sys.argv[1]) else 1)
