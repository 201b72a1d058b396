"""`edgematrix firmware tasmota`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgematrix.cli.console import complain, say, style
from edgematrix.errors import PathError, UsageError

if TYPE_CHECKING:
    from edgematrix.agents.spec import DeviceSpec
    from edgematrix.config.spec import MatrixSpec
    from edgematrix.integrations.tasmota import TasmotaBroker, TasmotaDevice

__all__ = ["EXAMPLE", "SUMMARY", "command"]

SUMMARY = "Write the commands that set up a Tasmota device."

EXAMPLE = """edgematrix firmware tasmota home/shed/lamp --matrix home.yaml --broker mqtt://192.168.1.10
edgematrix firmware tasmota home/shed/plug --matrix home.yaml --broker mqtt://192.168.1.10 --relays 2 --sensor ENERGY.Power
edgematrix firmware tasmota home/shed/lamp --matrix home.yaml --access access --client lamp --out lamp.txt"""


def command(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The agent: a `device:` of the matrix, or one that is to be.")],
    matrix: Annotated[Path, typer.Option("--matrix", metavar="FILE", help="The matrix file.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the commands there, with the password.")] = None,
    broker: Annotated[
        str | None, typer.Option("--broker", metavar="URL", help="Where the device connects, in place of the matrix's broker.")
    ] = None,
    access: Annotated[Path | None, typer.Option("--access", metavar="DIR", help="The folder of `provision`, for --client.")] = None,
    client: Annotated[str | None, typer.Option("--client", metavar="NAME", help="Which of the matrix's `access: clients` it is.")] = None,
    relays: Annotated[int, typer.Option("--relays", metavar="N", help="Of a device that is to be: its relays.")] = 1,
    sensor: Annotated[
        list[str] | None,
        typer.Option("--sensor", metavar="NAME.FIELD", help="Of a device that is to be: a value of `SENSOR`; again for more."),
    ] = None,
) -> None:
    """Write the Backlog for a Tasmota device's console, so that it speaks on the topics that the matrix has for it.

    Where the matrix has no such device yet, what to paste into it is printed too. Tasmota reads no events and says no birth of ours, so
    it is a `device:` on topics of its own.
    """
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415 - help needs none of it
    from edgematrix.integrations.tasmota import PASSWORD, TasmotaDevice, backlog, definition, full_topic_of, usual_full_topic  # noqa: PLC0415

    spec = open_matrix(matrix, imports=False).spec
    known = _device(spec, path)
    if known is None:
        device = TasmotaDevice(path, usual_full_topic(path), relays, tuple(sensor or ()))
    else:
        topics = [one.topic for one in known.reads.values()] + [one.topic for one in known.writes.values()]
        topics += [known.availability.topic] if known.availability else []
        device = TasmotaDevice(path, full_topic_of(topics, path))
    pasted = definition(device) if known is None else ""
    there = _broker(spec, matrix, broker, access, client)
    if out is None:
        say(backlog(device, there if there.password is None else replace(there, password=PASSWORD)))
    else:
        from edgematrix.identity.secret_file import write_secret  # noqa: PLC0415 - who prints writes nothing

        write_secret(out, backlog(device, there) + "\n")
        say(f"wrote {out}: it holds the password; paste it into the device's console")
    _show(device, pasted)
    if there.tls:
        complain(style("! Tasmota speaks TLS in builds that have it: those for the ESP32, and your own for the ESP8266", fg="yellow"))


def _show(device: TasmotaDevice, pasted: str) -> None:
    if not pasted:
        return
    say()
    say(f"# in the matrix, below `agents:` of {device.path.rpartition('/')[0]}")
    say(pasted.rstrip())
    say()
    name = device.path.partition("/")[2].replace("/", "-")
    published = ", ".join(f'"{device.topic(prefix, "#")}"' for prefix in ("stat", "tele"))
    say("# and where the broker has an access list, below `access: clients:`")
    say(f'{name}: {{publishes: [{published}], reads: ["{device.topic("cmnd", "#")}"]}}')


def _device(spec: MatrixSpec, path: str) -> DeviceSpec | None:
    """The device that the matrix has at a path; None where there is no agent."""
    from edgematrix.config.agent_tree import AgentTree  # noqa: PLC0415 - help needs none of it
    from edgematrix.protocol.path import AgentPath, is_below, parse_path  # noqa: PLC0415 - as above

    try:
        checked = parse_path(path)
    except PathError as error:
        raise UsageError(error.what, remedy=error.remedy or "an agent's path, such as home/shed/lamp") from None
    if not is_below(checked, AgentPath(spec.matrix)):
        raise UsageError(f"{path} is no path in the matrix {spec.matrix}", remedy=f"{spec.matrix}/shed/lamp")
    node = AgentTree.of(spec).nodes.get(checked)
    if node is None:
        return None
    if node.spec.device is None:
        what = "Tasmota reads no events, so the agent has to be a `device:` on topics of its own"
        raise UsageError(what, where=path, remedy="take another path, and paste what is printed, or use ESPHome")
    return node.spec.device


def _broker(spec: MatrixSpec, matrix: Path, broker: str | None, access: Path | None, client: str | None) -> TasmotaBroker:
    from edgematrix.cli.device_endpoint import matrix_broker, warn_of_others  # noqa: PLC0415 - help needs none of it
    from edgematrix.identity.access_folder import ADDRESS, AccessFolder  # noqa: PLC0415 - as above
    from edgematrix.integrations.tasmota import TasmotaBroker  # noqa: PLC0415 - as above
    from edgematrix.transport.endpoint import Endpoint  # noqa: PLC0415 - as above

    if (access is None) != (client is None):
        raise UsageError("--access and --client belong together", remedy="--access DIR --client NAME, a name below `access: clients:`")
    if access is not None and client is not None:
        if broker is not None:
            raise UsageError("the folder has the client's own address of the broker", where="--broker", remedy="leave --broker away")
        file = AccessFolder(access).of("client", client) / ADDRESS
        if not file.is_file():
            remedy = "name it below `access: clients:`, then edgematrix provision MATRIX --out DIR"
            raise UsageError(f"{client} has no identity there", where=str(file), remedy=remedy)
        endpoint = Endpoint.parse(f"@{file}")
    else:
        endpoint = Endpoint.parse(broker) if broker is not None else matrix_broker(spec, matrix)
    if endpoint.cert is not None:
        raise UsageError(
            "Tasmota proves itself by a password, not by a certificate", where=str(endpoint), remedy="provision it with a secret"
        )
    warn_of_others(endpoint, "Tasmota")
    return TasmotaBroker(endpoint.host, endpoint.port, endpoint.tls, endpoint.username, endpoint.password, endpoint.client_id)
