"""`edgematrix bridge esphome`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgematrix.cli.bridging import AccessOption, BrokerOption, run_until_signal
from edgematrix.cli.console import plain, say
from edgematrix.errors import UsageError

if TYPE_CHECKING:
    from edgematrix.config.spec import MatrixSpec
    from firmware_bridge.esphome.bridge import DevicePlace

__all__ = ["EXAMPLE", "SUMMARY", "command"]

SUMMARY = "ESPHome devices that use no MQTT."

EXAMPLE = """edgematrix bridge esphome home.yaml --device home/hall/lamp=192.168.1.20
edgematrix bridge esphome home.yaml --device home/hall/lamp=lamp.local:6053 --key home/hall/lamp=lamp.key --access access"""

_PORT = 6053
_PORT_MAX = 65_535


def command(
    matrix: Annotated[Path, typer.Argument(metavar="MATRIX", help="The matrix file, in which each device is an agent with its ports.")],
    device: Annotated[list[str], typer.Option("--device", metavar="PATH=HOST[:PORT]", help="A device and where it is; again for more.")],
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="PATH=FILE", help="The file with the key of its encryption; again for more.")
    ] = None,
    broker: BrokerOption = None,
    access: AccessOption = None,
) -> None:
    """Bring devices that speak ESPHome's native API to the bus, until Ctrl-C: each an agent on its path, with a will of its own.

    What an entity tells is the output port of its name, what can be asked of it the input port `set_` and its name.
    """
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415 - help needs none of it

    spec = open_matrix(matrix, imports=False).spec
    places = _places(device, _keys(key or []), spec, matrix, broker, access)
    asyncio.run(_run(places, spec.root))


async def _run(places: list[DevicePlace], root: str) -> None:
    from firmware_bridge.esphome.bridge import run_bridge  # noqa: PLC0415 - help needs none of it

    say(f"{len(places)} device{'s' * (len(places) > 1)} at {places[0].endpoint}. Ctrl-C ends it.")
    await run_until_signal(run_bridge(places, lambda text: say(plain(text)), root=root))


def _places(
    devices: Sequence[str], keys: dict[str, str], spec: MatrixSpec, matrix: Path, broker: str | None, access: Path | None
) -> list[DevicePlace]:
    from edgematrix.cli.device_endpoint import device_endpoint  # noqa: PLC0415 - help needs none of it
    from edgematrix.config.agent_tree import AgentTree  # noqa: PLC0415 - as above
    from edgematrix.config.board import board_of  # noqa: PLC0415 - as above
    from firmware_bridge.esphome.bridge import DevicePlace  # noqa: PLC0415 - as above

    tree = AgentTree.of(spec)
    found: dict[str, DevicePlace] = {}
    for text in devices:
        path, _, where = text.partition("=")
        host, port = _where(text, where)
        node = board_of(tree, path)
        if path in found:
            raise UsageError(f"{path} is given twice", where="--device", remedy="one device for each agent")
        outputs = {name: (one.qos, one.retain) for name, one in node.spec.outputs.items()}
        endpoint = device_endpoint(path, spec, matrix, broker, access)
        found[path] = DevicePlace(path, host, port, endpoint, outputs, frozenset(node.spec.inputs), keys.pop(path, ""))
    if keys:
        raise UsageError(f"a key is given for {next(iter(keys))}, which is no --device", where="--key", remedy="--device PATH=HOST")
    if broker is not None and len(found) > 1 and next(iter(found.values())).endpoint.has_identity:
        what = "the broker's address is one device's, and several are named: each has an identity of its own"
        raise UsageError(what, where="--broker", remedy="--access DIR, the folder of `edgematrix provision`")
    return list(found.values())


def _where(text: str, where: str) -> tuple[str, int]:
    parts = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:\[\]/]+)(?::([0-9]{1,5}))?", where)
    port = _PORT if parts is None or parts[2] is None else int(parts[2])
    if parts is None or not 0 < port <= _PORT_MAX:
        raise UsageError(f"{text[:80]!r} is not PATH=HOST[:PORT]", where="--device", remedy="--device home/hall/lamp=192.168.1.20")
    return parts[1].strip("[]"), port


def _keys(texts: Sequence[str]) -> dict[str, str]:
    """Keys of the devices' encryption, by path: 32 bytes in base64, the only line of a file that is its owner's alone."""
    from edgematrix.identity.secret_file import read_secret  # noqa: PLC0415 - few devices have one

    found = {}
    for text in texts:
        path, mark, file = text.partition("=")
        if not mark or not file:
            raise UsageError(f"{text[:80]!r} is not PATH=FILE", where="--key", remedy="--key home/hall/lamp=lamp.key")
        key = read_secret(Path(file)).decode("ascii", "replace").strip()
        if not re.fullmatch(r"[A-Za-z0-9+/]{43}=", key):
            raise UsageError(
                "it holds no key of 32 bytes in base64", where=file, remedy="it is `api: encryption: key:` of the device's YAML"
            )
        found[path] = key
    return found
