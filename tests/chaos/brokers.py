"""The brokers of a run, as programs: one mosquitto, or a cluster of three nats-servers."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgematrix.runtime.broker_program import choose
from tests.broker_process import BrokerProcess, free_port
from tests.chaos.program import Program

__all__ = ["Brokers", "brokers"]

_NATS_NODE = """
server_name: "{name}"
listen: "127.0.0.1:{client}"
max_payload: 8MB
jetstream {{ store_dir: "{directory}", limits: {{ default_max_consumers: 10000 }} }}
cluster {{ name: "chaos", listen: "127.0.0.1:{route}", routes: [{routes}] }}
mqtt {{ listen: "127.0.0.1:{port}", stream_replicas: 3, max_ack_pending: 50, ack_wait: "3s" }}
"""


@dataclass(frozen=True, slots=True)
class Brokers:
    """Programs, and the address of each; a client takes any of them."""

    programs: tuple[Program, ...]
    urls: tuple[str, ...]


def brokers(kind: str, folder: Path, *, persistent: bool) -> Brokers:
    """Make the brokers of a run: `mosquitto` or `nats-cluster`.

    Raises:
        BrokerError: it is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return _mosquitto(folder, persistent=persistent) if kind == "mosquitto" else _nats_cluster(folder)


def _mosquitto(folder: Path, *, persistent: bool) -> Brokers:
    made = BrokerProcess("mosquitto", folder / "data", persistent=persistent)
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
        others = ", ".join(f'"nats-route://127.0.0.1:{other}"' for other in routes if other != route)
        text = _NATS_NODE.format(name=name, client=free_port(), directory=folder / name, route=route, routes=others, port=port)
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
