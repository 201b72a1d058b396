"""A broker for tests, in the hands of the test: started, killed, started again on the same port."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from edgematrix.errors import BrokerError
from edgematrix.runtime.broker_program import choose
from tests.free_port import free_port

_START_S = 60.0
_PLAIN_MOSQUITTO = """
listener {port} 127.0.0.1
set_tcp_nodelay true
allow_anonymous {anonymous}
max_inflight_messages 1000
max_queued_messages 100000
{more}
"""
_PLAIN_NATS = """
listen: "127.0.0.1:-1"
server_name: "test"
max_payload: 8MB
jetstream {{ store_dir: "{directory}", limits: {{ default_max_consumers: 10000 }} }}
mqtt {{ listen: "127.0.0.1:{port}", max_ack_pending: 50, ack_wait: "1s" }}
{more}
"""
# It saves each second: what a kill -9 brings back is a state of up to a second ago, which is worse than none.
_PERSISTENT_MOSQUITTO = """
user {user}
persistence true
persistence_location {directory}/
autosave_interval 1
{more}
"""


class BrokerProcess:
    """mosquitto or nats-server, on one port for as long as it lives and is started again.

    Args:
        more: lines for its configuration; `{directory}` is filled in.
        persistent: whether what it holds outlives a `kill` and `restart`. mosquitto then saves each second, and forgets all
            otherwise. nats-server always writes what it holds: without this its store is removed before a restart. None leaves
            each broker to its own: mosquitto forgets, NATS keeps.
    """

    def __init__(
        self, kind: str, directory: Path, *, more: str = "", anonymous: bool = True, persistent: bool | None = None, port: int | None = None
    ) -> None:
        self.kind = kind
        self.port = port or free_port()
        self._directory = directory
        self._forgets = persistent is False and kind == "nats"
        directory.mkdir(parents=True, exist_ok=True)
        if persistent and kind == "mosquitto":
            more = _PERSISTENT_MOSQUITTO.replace("{user}", getpass.getuser()).replace("{more}", more)
        template = _PLAIN_MOSQUITTO if kind == "mosquitto" else _PLAIN_NATS
        self._configuration = directory / f"{kind}.conf"
        self._configuration.write_text(
            template.format(port=self.port, directory=directory, anonymous=str(anonymous).lower(), more=more.format(directory=directory))
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        _, executable = choose(self.kind)
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen([executable, "-c", str(self._configuration)], stdout=log, stderr=log)
        give_up_at = time.monotonic() + _START_S
        while True:
            assert self._process.poll() is None, (self._directory / "log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return  # noqa: TRY300 - the loop's only good end
            except OSError:
                assert time.monotonic() < give_up_at, "the broker does not answer"
                time.sleep(0.01)

    def kill(self) -> None:
        """As a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it if it lives, and start it on the same port with the same data, if it keeps any."""
        self.kill()
        if self._forgets:
            shutil.rmtree(self._directory / "jetstream", ignore_errors=True)
        self.start()

    def stop(self) -> None:
        """As the system does at shutdown."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None


def skip_without(kind: str) -> None:
    """Skip the test, in words that say what to install."""
    try:
        choose(kind)
    except BrokerError as error:
        pytest.skip(str(error))
