"""`edgematrix bridge mqtt-sn`."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgematrix.cli.bridging import BrokerOption, run_until_signal
from edgematrix.cli.console import complain, plain, say, style
from edgematrix.cli.options import Duration, read_duration
from edgematrix.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgematrix.config.agent_tree import AgentTree
    from firmware_bridge.mqtt_sn.bridge import Bridge
    from firmware_bridge.mqtt_sn.post import NodePlace
    from firmware_bridge.mqtt_sn.topic_ids import KnownTopics

__all__ = ["EXAMPLE", "SUMMARY", "command"]

SUMMARY = "Nodes that speak MQTT-SN, over UDP."

EXAMPLE = """edgematrix bridge mqtt-sn home.yaml
edgematrix bridge mqtt-sn home.yaml --access access --listen 10.0.0.1:1884
edgematrix bridge mqtt-sn home.yaml --broker mqtt://192.168.1.10 --topic 1=home/shed/tank.level --topic t1=home/shed/tank.pump"""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORT_MAX = 65_535
_SHORT_LENGTH = 2


def command(
    matrix: Annotated[Path, typer.Argument(metavar="MATRIX", help="The matrix file: its devices may be nodes, and nobody else.")],
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where nodes send their datagrams.")] = "127.0.0.1:1884",
    broker: BrokerOption = None,
    access: Annotated[
        Path | None, typer.Option("--access", metavar="DIR", help="The folder of `provision`: each node comes in as itself.")
    ] = None,
    node: Annotated[
        list[str] | None,
        typer.Option("--node", metavar="ID=PATH", help="A node's client id, where it is not its path with dots; again for more."),
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", metavar="N=PATH.PORT", help="A topic with a number, or a name of two letters, beforehand; again for more."),
    ] = None,
    retry: Annotated[
        Duration, typer.Option("--retry", metavar="DURATION", parser=read_duration, help="How long a node may take to answer.")
    ] = "10s",  # type: ignore[assignment]
) -> None:
    """Let nodes that speak MQTT-SN 1.2 take part, until Ctrl-C: each is a device of the matrix, with a connection and a will of its own.

    A node may publish and read what the matrix grants its device. MQTT-SN proves nobody: listen in networks alone that you trust.
    """
    from edgematrix.config.agent_tree import AgentTree  # noqa: PLC0415 - help needs none of it
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415 - as above
    from firmware_bridge.mqtt_sn.bridge import Bridge  # noqa: PLC0415 - as above
    from firmware_bridge.mqtt_sn.rules import Rules  # noqa: PLC0415 - as above

    host, port = _place(listen)
    spec = open_matrix(matrix, imports=False).spec
    tree = AgentTree.of(spec)
    nodes = _nodes(matrix, tree, node or [], broker, access)
    rules = Rules(retry_us=retry.us)
    known = _known(topic or [], tree)
    if host not in _LOOPBACK:
        complain(style(f"! whoever reaches {listen} can say that it is one of the nodes: MQTT-SN proves nobody", fg="yellow"))
    asyncio.run(_run(lambda told: Bridge(nodes, known, told, root=spec.root, rules=rules), host, port))


async def _run(make: Callable[[Callable[[str], None]], Bridge], host: str, port: int) -> None:
    bridge = make(lambda text: say(plain(text)))
    count = len(bridge.gateway.nodes)

    def ready(there: str, number: int) -> None:
        say(f"{count} node{'s' * (count > 1)} may come to {there}:{number}, over UDP. Ctrl-C ends it.")

    try:
        await run_until_signal(bridge.run(host, port, ready))
    finally:
        for name, counts in (("network", bridge.gateway.counts), *((name, node.counts) for name, node in bridge.gateway.nodes.items())):
            if told := ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in sorted(counts.items()) if count):
                say(plain(f"{name}: {told}"))


def _place(listen: str) -> tuple[str, int]:
    host, mark, port = listen.rpartition(":")
    if not mark or not host or not port.isdecimal() or int(port) > _PORT_MAX:
        raise UsageError(f"{listen[:80]!r} is no address to listen on", where="--listen", remedy="--listen 127.0.0.1:1884")
    return host.strip("[]"), int(port)


def _nodes(matrix: Path, tree: AgentTree, named: Sequence[str], broker: str | None, access: Path | None) -> dict[str, NodePlace]:
    """All devices of the matrix, by the client id of each."""
    from edgematrix.access.principal import Role  # noqa: PLC0415 - help needs none of it
    from edgematrix.cli.device_endpoint import device_endpoint  # noqa: PLC0415 - as above
    from edgematrix.config.authority import principals_of  # noqa: PLC0415 - as above
    from edgematrix.config.board import board_of  # noqa: PLC0415 - as above
    from firmware_bridge.mqtt_sn.node import Identity  # noqa: PLC0415 - as above
    from firmware_bridge.mqtt_sn.post import NodePlace  # noqa: PLC0415 - as above

    aliases: dict[str, str] = {}
    for text in named:
        name, mark, path = text.partition("=")
        if not mark or not name or name in aliases:
            raise UsageError(f"{text[:80]!r} is not ID=PATH, or names a node again", where="--node", remedy="--node n17=home/shed/tank")
        aliases[name] = board_of(tree, path).path
    found: dict[str, NodePlace] = {}
    for principal in principals_of(tree.matrix):
        if principal.role is not Role.DEVICE:
            continue
        path = principal.subject
        names = [name for name, meant in aliases.items() if meant == path] or [principal.name]
        if len(names) > 1:
            raise UsageError(f"{path} has the client ids {' and '.join(names)}", where="--node", remedy="one client id for each node")
        if access is not None and named and path not in aliases.values():
            continue  # whoever names nodes has identities of these
        place = NodePlace(Identity(path, principal.grants), device_endpoint(path, tree.matrix, matrix, broker, access))
        if place.endpoint.has_identity and access is None:
            what = "the broker's address is one device's, and each node has an identity of its own"
            raise UsageError(what, where="--broker", remedy="--access DIR, the folder of `edgematrix provision`")
        found[names[0]] = place
    if not found:
        raise UsageError("the matrix has no device that could be a node", where=str(matrix), remedy="give an agent `host:` and its ports")
    return found


def _known(texts: Sequence[str], tree: AgentTree) -> KnownTopics:
    from firmware_bridge.mqtt_sn.topic_ids import KnownTopics  # noqa: PLC0415 - help needs none of it

    numbers: dict[int, str] = {}
    short: dict[str, str] = {}
    for text in texts:
        name, _, port = text.partition("=")
        topic = _topic(port, tree)
        if re.fullmatch(r"[1-9][0-9]{0,4}", name) and int(name) < _PORT_MAX:
            is_new = numbers.setdefault(int(name), topic) is topic
        elif len(name) == _SHORT_LENGTH and name.isascii() and name.isprintable():
            is_new = short.setdefault(name, topic) is topic
        else:
            what = f"{name[:40]!r} is neither a number from 1 to 65534 nor a name of two letters"
            raise UsageError(what, where="--topic", remedy="--topic 1=home/shed/tank.level")
        if not is_new:
            raise UsageError(f"{name} is given twice", where="--topic", remedy="one topic for each number")
    return KnownTopics(numbers, short)


def _topic(text: str, tree: AgentTree) -> str:
    """The topic of `PATH.PORT`, or of `PATH` its state."""
    from edgematrix.config.board import board_of  # noqa: PLC0415 - help needs none of it
    from edgematrix.protocol.topic import Kind, topic_for  # noqa: PLC0415 - as above

    path, mark, port = text.partition(".")
    spec, root = board_of(tree, path).spec, tree.matrix.root
    if not mark:
        return topic_for(root, Kind.STATE, path)
    if port in spec.outputs or port in spec.inputs:
        return topic_for(root, Kind.OUT if port in spec.outputs else Kind.IN, path, port)
    known = ", ".join((*spec.outputs, *spec.inputs)) or "none"
    raise UsageError(f"{path} has no port {port[:80]!r}", where="--topic", remedy=f"its ports are {known}")
