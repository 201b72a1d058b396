"""Processes that are measured, and the broker that they meet on."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgematrix.runtime.broker_program import choose

__all__ = ["mosquitto", "running"]

_MOSQUITTO = "listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 100000\nlog_type error\n"


@contextmanager
def mosquitto(place: Path) -> Iterator[int]:
    """A broker of its own, with its configuration in the folder `place`; its port."""
    _, executable = choose("mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    configuration = place / "mosquitto.conf"
    configuration.write_text(_MOSQUITTO.format(port=port))
    with running([executable, "-c", str(configuration)], place / "mosquitto.log"):
        give_up_at_s = time.monotonic() + 5
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if time.monotonic() > give_up_at_s:
                    raise
                time.sleep(0.02)
        yield port


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block; what it said is shown if it did not live that long."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield process
    except BaseException:
        print(log.read_text(errors="replace")[-2000:], file=sys.stderr)
        raise
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
