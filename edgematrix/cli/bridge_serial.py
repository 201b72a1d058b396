"""`edgematrix bridge serial`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgematrix.cli.bridging import AccessOption, BrokerOption, run_until_signal
from edgematrix.cli.console import plain, say
from edgematrix.cli.options import RootOption
from edgematrix.errors import UsageError
from edgematrix.protocol.topic import DEFAULT_ROOT

if TYPE_CHECKING:
    from edgematrix.config.spec import MatrixSpec
    from edgematrix.transport.endpoint import Endpoint
    from firmware_bridge.serial.place import Place

__all__ = ["EXAMPLE", "SUMMARY", "command"]

SUMMARY = "Devices on serial lines."

EXAMPLE = """edgematrix bridge serial home.yaml --line home/shed/arduino=/dev/ttyUSB0@115200
edgematrix bridge serial home.yaml --line home/shed/pump=socket://192.168.1.7:4000 --broker mqtt://192.168.1.10
edgematrix bridge serial home.yaml --line home/shed/arduino=/dev/ttyACM0 --access access"""

_RATE_MAX = 100_000


def command(
    matrix: Annotated[Path | None, typer.Argument(metavar="MATRIX", help="The matrix file; without it, give --broker.")] = None,
    line: Annotated[
        list[str] | None, typer.Option("--line", metavar="PATH=PORT[@BAUD][#ADDRESS]", help="A device and its line; again for more.")
    ] = None,
    broker: BrokerOption = None,
    access: AccessOption = None,
    root: RootOption = None,
    rate: Annotated[int, typer.Option("--rate", metavar="N", help="Values a second that a device may send.")] = 50,
) -> None:
    """Bring devices on serial lines to the bus, until Ctrl-C: each an agent on its path, with a connection and a will of its own.

    PORT is a device file, or socket://HOST:PORT. What is spoken on the line: docs/spec/serial.md.
    """
    from firmware_bridge.serial.place import read_places  # noqa: PLC0415 - help needs none of it

    if not 1 <= rate <= _RATE_MAX:
        raise UsageError(f"{rate} values a second are not from 1 to {_RATE_MAX}", where="--rate")
    places = read_places(line or [])
    spec = None if matrix is None else _opened(matrix)
    if spec is not None:
        _check_boards(spec, places)
    endpoints = _endpoints(places, spec, matrix, broker, access)
    asyncio.run(_run(list(zip(places, endpoints, strict=True)), root or (DEFAULT_ROOT if spec is None else spec.root), rate))


async def _run(places: list[tuple[Place, Endpoint]], root: str, rate: int) -> None:
    from firmware_bridge.serial.bridge import run_bridge  # noqa: PLC0415 - help needs none of it
    from firmware_bridge.serial.pace import Pace  # noqa: PLC0415 - as above

    say(f"{len(places)} device{'s' * (len(places) > 1)} at {places[0][1]}. Ctrl-C ends it.")
    pace = Pace(rate_per_s=rate, burst=max(2, 2 * rate))
    await run_until_signal(run_bridge(places, lambda text: say(plain(text)), root=root, pace=pace))


def _opened(matrix: Path) -> MatrixSpec:
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415 - a bridge may do without a matrix

    return open_matrix(matrix, imports=False).spec


def _check_boards(spec: MatrixSpec, places: Sequence[Place]) -> None:
    """Each device is a board of the matrix: nobody else gives an agent its path."""
    from edgematrix.config.agent_tree import AgentTree  # noqa: PLC0415 - as above

    tree = AgentTree.of(spec)
    boards = sorted(node.path for node in tree if node.is_board)
    for place in places:
        node = tree.nodes.get(place.path)
        if node is None or not node.is_board:
            what = f"the matrix has no agent {place.path}" if node is None else f"{place.path} is no board: the matrix runs it itself"
            known = f"its boards are {', '.join(boards[:10])}" if boards else "it has no board: give the agent `host:` and its ports"
            raise UsageError(what, where="--line", remedy=known)


def _endpoints(
    places: Sequence[Place], spec: MatrixSpec | None, matrix: Path | None, broker: str | None, access: Path | None
) -> list[Endpoint]:
    from edgematrix.cli.device_endpoint import identity_file  # noqa: PLC0415 - help needs none of it
    from edgematrix.transport.endpoint import Endpoint  # noqa: PLC0415 - as above

    if access is not None:
        if broker is not None:
            raise UsageError("the folder has each device's own address of the broker", where="--broker", remedy="leave --broker away")
        return [Endpoint.parse(f"@{identity_file(place.path, access)}") for place in places]
    if broker is None and (spec is None or matrix is None):
        raise UsageError("the broker is missing", where="--broker", remedy="name the matrix file, or --broker mqtt://192.168.1.10")
    endpoint = Endpoint.parse(broker if broker is not None else _address_of(spec, matrix))
    if endpoint.has_identity and len(places) > 1:
        what = "the broker's address is one device's, and several are named: each has an identity of its own"
        raise UsageError(what, where="--broker", remedy="--access DIR, the folder of `edgematrix provision`")
    return [endpoint] * len(places)


def _address_of(spec: MatrixSpec | None, matrix: Path | None) -> str:
    from edgematrix.cli.target import find_target  # noqa: PLC0415 - as above
    from edgematrix.config.launch import address_of, secrets_beside  # noqa: PLC0415 - as above
    from edgematrix.config.spec import EMBEDDED_BROKERS  # noqa: PLC0415 - as above

    assert spec is not None and matrix is not None  # noqa: S101, PT018 - it was checked
    if spec.broker in EMBEDDED_BROKERS:
        return find_target(None, None).url
    return address_of(spec, lambda: secrets_beside(matrix.parent))
