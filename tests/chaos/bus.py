"""The brokers of a run, as programs: one mosquitto, or a cluster of three nats-servers by the profile that is shipped."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgematrix.runtime.broker_program import choose
from edgematrix.runtime.capabilities import read_profile
from tests.broker_process import BrokerProcess
from tests.chaos.program import Program
from tests.free_port import free_port

__all__ = ["Brokers", "brokers"]


@dataclass(frozen=True, slots=True)
class Brokers:
    """Programs, and the address of each; a client takes any of them."""

    programs: tuple[Program, ...]
    urls: tuple[str, ...]


def brokers(kind: str, folder: Path, *, persistent: bool, more: str = "") -> Brokers:
    """Make the brokers of a run: `mosquitto` or `nats-cluster`.

    With `more`, mosquitto's configuration says that too, and who comes needs a name.

    Raises:
        BrokerError: it is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return _mosquitto(folder, persistent=persistent, more=more) if kind == "mosquitto" else _nats_cluster(folder)


def _mosquitto(folder: Path, *, persistent: bool, more: str) -> Brokers:
    made = BrokerProcess("mosquitto", folder / "data", persistent=persistent, more=more, anonymous=not more)
    _, executable = choose("mosquitto")
    command = [executable, "-c", str(made._configuration)]
    program = Program("broker", command, folder / "mosquitto.log", ready=lambda: _answers(made.port))
    return Brokers((program,), (made.url,))


def _nats_cluster(folder: Path) -> Brokers:
    _, executable = choose("nats")
    names = ("broker-1", "broker-2", "broker-3")
    routes = [free_port() for _ in names]
    programs, urls = [], []
    for name, route in zip(names, routes, strict=True):
        port = free_port()
        values = {
            "node": name,
            "cluster_port": str(route),
            "routes": ", ".join(f'"nats-route://127.0.0.1:{other}"' for other in routes if other != route),
            "data_dir": str(folder / name),
            "listen": "127.0.0.1",
            "port": str(port),
            "access": "",
            "tls": "",
        }
        text = read_profile("nats-cluster.conf")
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        configuration = folder / f"{name}.conf"
        configuration.write_text(text)
        programs.append(
            Program(name, [executable, "-c", str(configuration)], folder / f"{name}.log", ready=lambda port=port: _answers(port))
        )
        urls.append(f"mqtt://127.0.0.1:{port}")
    return Brokers(tuple(programs), tuple(urls))


def _answers(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        return True
    return False
