"""A broker with TLS and identities, made of an access folder, in the hands of a test; and who comes to it."""

from __future__ import annotations

import asyncio
import getpass
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from broker_process import skip_without
from free_port import free_ports

from edgematrix.cli.visit import visit
from edgematrix.config.opening import open_matrix
from edgematrix.config.provisioning import Provisioned, ProvisionWish, provision
from edgematrix.errors import BusError
from edgematrix.identity.access_folder import AccessFolder
from edgematrix.identity.listener import mosquitto_listeners, nats_listener_tls
from edgematrix.identity.registry import Registry, read_registry
from edgematrix.runtime.broker_program import choose

_START_S = 60.0
LONG = "a" * 40
"""A name; three of them make a path that no certificate's name holds."""
MATRIX = f"""
matrix: home
access:
  hosts: [pi, server]
  operators:
    anna:
    cara:
  clients:
    zigbee: {{publishes: ["zigbee2mqtt/#"]}}
agents:
  hall:
    host: pi
    outputs: {{beat: number}}
    triggers: {{tick: {{on: {{timer: {{every: 1h}}}}, do: [{{emit: {{port: beat, value: 1}}}}]}}}}
  {LONG}: {{host: esp1, outputs: {{t: number}}}}
  {LONG[:-1]}b: {{host: pi, agents: {{{LONG}: {{host: esp1, outputs: {{t: number}}}}}}}}
"""


class Site:
    """A matrix, its access folder, and brokers that go by it."""

    def __init__(self, directory: Path, **wish: object) -> None:
        self.directory = directory
        self.matrix = directory / "home.yaml"
        self.matrix.write_text(MATRIX)
        self.folder = AccessFolder(directory / "access")
        self.port = free_ports(4)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.provision(port=self.port, own_name="", **wish)

    def provision(self, ahead: timedelta = timedelta(), **wish: object) -> Provisioned:
        """As the command does, so far ahead of now."""
        return provision(open_matrix(self.matrix).spec, self.folder, ProvisionWish(**wish), datetime.now(UTC) + ahead)  # type: ignore[arg-type]

    @property
    def registry(self) -> Registry:
        return read_registry(self.folder.registry)

    def url(self, role: str, name: str) -> str:
        return f"@{self.folder.of(role, name) / 'broker.url'}"

    def start(self, kind: str) -> None:
        skip_without(kind)
        _, executable = choose(kind)
        directory = self.directory / kind
        directory.mkdir(exist_ok=True)
        config = directory / "broker.conf"
        files, now = str(self.folder.broker), datetime.now(UTC)
        if kind == "mosquitto":
            listeners = mosquitto_listeners(self.registry, now, folder=files, port=self.port, address="127.0.0.1")
            config.write_text(f"user {getpass.getuser()}\n{listeners}\nset_tcp_nodelay true\nlog_type all\nconnection_messages true\n")
        else:
            tls = nats_listener_tls(self.registry, now, folder=files)
            config.write_text(
                f'server_name: test\nlisten: "127.0.0.1:-1"\njetstream {{ store_dir: "{directory}" }}\n'
                f'mqtt {{ listen: "127.0.0.1:{self.port}"\n{tls}\n}}\ninclude "../access/broker/users.conf"\n'
            )
        with (directory / "log").open("wb") as log:
            process = self._processes[kind] = subprocess.Popen([executable, "-c", str(config)], stdout=log, stderr=log)
        give_up_at = time.monotonic() + _START_S
        while choose(kind)[0].ready not in (directory / "log").read_text():
            assert process.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < give_up_at
            time.sleep(0.01)

    def reload(self, kind: str) -> None:
        """Let it read its files again, and wait until it has."""
        log = self.directory / kind / "log"
        before = len(log.read_bytes())
        self._processes[kind].send_signal(signal.SIGHUP)
        words = b"Reloading config" if kind == "mosquitto" else b"Reloaded server configuration"
        give_up_at = time.monotonic() + _START_S
        while words not in log.read_bytes()[before:]:
            assert time.monotonic() < give_up_at
            time.sleep(0.01)

    def stop(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


def come(url: str) -> str:
    """Connect as the commands do: the empty text if the broker takes one in, else what the user is told."""

    async def look() -> str:
        try:
            async with visit(url, [], lambda *_: None):
                return ""
        except BusError as error:
            return str(error)

    return asyncio.run(look())
