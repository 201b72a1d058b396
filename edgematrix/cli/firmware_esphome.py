"""`edgematrix firmware esphome`."""

from __future__ import annotations

import json
import re
import secrets as chance
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgematrix.cli.console import complain, say, style, write
from edgematrix.errors import UsageError

if TYPE_CHECKING:
    from edgematrix.integrations.esphome import EsphomeBroker
    from edgematrix.transport.endpoint import Endpoint

__all__ = ["EXAMPLE", "SUMMARY", "command"]

SUMMARY = "Write the YAML of an ESPHome device."

EXAMPLE = """edgematrix firmware esphome home/shed/tank --matrix home.yaml --broker mqtt://192.168.1.10
edgematrix firmware esphome home/shed/tank --matrix home.yaml --access access --out tank.yaml
esphome run tank.yaml                                    # ESPHome's own command builds it, and brings it to the device"""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SECRETS = "secrets.yaml"
_TO_FILL_IN = {"wifi_ssid": "fill in", "wifi_password": "fill in yours"}


def command(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The agent: one with `host:` and ports, and nothing that a host would run.")],
    matrix: Annotated[Path, typer.Option("--matrix", metavar="FILE", help="The matrix file.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The device's file; what is EdgeMatrix's goes beside it. Default: printed.")
    ] = None,
    broker: Annotated[
        str | None, typer.Option("--broker", metavar="URL", help="Where the device connects, in place of the matrix's broker.")
    ] = None,
    access: Annotated[
        Path | None, typer.Option("--access", metavar="DIR", help="The folder of `provision`: the device's own identity.")
    ] = None,
    chip: Annotated[str, typer.Option("--chip", help="For a new device's file: esp32 or esp8266.")] = "esp32",
) -> None:
    """Write the YAML of an ESPHome device that is an agent: topics on its path, birth and will, commands acknowledged, discovery off.

    With --out there are four files: the device's, which is yours and is written once; the package and `edgematrix.h`, which are
    written anew each time; and in `secrets.yaml` the device's own lines.
    """
    from edgematrix.cli.device_endpoint import device_endpoint, warn_of_others  # noqa: PLC0415 - help needs none of it
    from edgematrix.config.esphome_board import esphome_board  # noqa: PLC0415 - as above
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415 - as above
    from edgematrix.integrations.esphome import package, secrets  # noqa: PLC0415 - as above
    from edgematrix.integrations.esphome_device import device_file, inlined  # noqa: PLC0415 - as above

    spec = open_matrix(matrix, imports=False).spec
    board = esphome_board(spec, path)
    endpoint = device_endpoint(board.path, spec, matrix, broker, access)
    there = _broker(endpoint, chip)
    target = out or Path(f"{path.rpartition('/')[2]}.yaml")
    beside = target.with_suffix(".edgematrix.yaml")
    ours, theirs = package(board, there), device_file(board, beside.name, chip)
    if out is None:
        write(inlined(theirs, beside.name, ours))
        complain("# --out FILE writes it, with edgematrix.h and the secrets that it refers to")
    else:
        _write_all(target, theirs, {beside: ours}, secrets(board, there))
    _warn(there)
    warn_of_others(endpoint, "ESPHome")


def _broker(endpoint: Endpoint, chip: str) -> EsphomeBroker:
    from edgematrix.integrations.esphome import EsphomeBroker  # noqa: PLC0415 - as above

    if endpoint.tls and chip == "esp8266":
        what = "ESPHome speaks no TLS with a certificate authority on an ESP8266"
        raise UsageError(what, where=str(endpoint), remedy="take an ESP32, or a broker's address with mqtt:// in a network of its own")
    if endpoint.tls and endpoint.ca is None:
        what = "the broker's address names no certificate authority, and an ESP32 knows none by itself"
        raise UsageError(what, where=str(endpoint), remedy="mqtts://HOST?ca=FILE, or --access DIR")
    return EsphomeBroker(
        host=endpoint.host,
        port=endpoint.port,
        tls=endpoint.tls,
        client_id=endpoint.client_id or "",
        username=endpoint.username,
        password=endpoint.password,
        ca=_read(endpoint.ca),
        cert=_read(endpoint.cert),
        key=_read(endpoint.key),
    )


def _read(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        return Path(file).read_text(encoding="ascii")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no PEM file"
        raise UsageError(f"cannot be read: {why}", where=file) from None


def _warn(broker: EsphomeBroker) -> None:
    if broker.host in _LOOPBACK:
        complain(style(f"! {broker.host} is the device itself to it: name the broker as the network knows it", fg="yellow"))
    if broker.tls:
        complain(style("! ESPHome's TLS is 1.2 as it is built: the broker has to take it (edgematrix provision --tls 1.2)", fg="yellow"))


def _write_all(target: Path, device: str, made: Mapping[Path, str], own: Mapping[str, str]) -> None:
    """Write the device's file if it is new, and what is ours in any case."""
    from edgematrix.integrations.esphome import HEADER  # noqa: PLC0415 - help needs none of it
    from firmware_bridge.esphome import header  # noqa: PLC0415 - as above

    is_new = not target.exists()
    missing = _write_secrets(target.with_name(_SECRETS), own, is_new=is_new)
    try:
        for file, text in {**made, target.with_name(HEADER): header()}.items():
            file.write_text(text, encoding="utf-8")
            say(f"wrote {file}")
        if is_new:
            target.write_text(device, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(target), remedy="name a folder that is there") from None
    say(f"wrote {target}: it is yours, name its pins and sensors" if is_new else f"{target} is there, and stays as it is")
    if missing:
        say(f"fill in {' and '.join(missing)} in {target.with_name(_SECRETS)}")


def _write_secrets(file: Path, own: Mapping[str, str], *, is_new: bool) -> list[str]:
    """Bring the device's lines up to date, and leave all others as they are; the names of those that somebody has to fill in."""
    from edgematrix.identity.secret_file import write_secret  # noqa: PLC0415 - help needs none of it

    try:
        lines = file.read_bytes().decode().splitlines() if file.exists() else []
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise UsageError(f"cannot be read: {why}", where=str(file)) from None
    there = {found[1] for line in lines if (found := re.match(r"([A-Za-z0-9_]+) *:", line))}
    lines = [_line(name, own[name]) if (name := line.partition(":")[0].rstrip()) in own else line for line in lines]
    lines += [_line(name, value) for name, value in own.items() if name not in there]
    missing = [name for name in _TO_FILL_IN if is_new and name not in there]
    lines += [_line(name, _TO_FILL_IN[name]) for name in missing]
    if is_new and "ota_password" not in there:
        lines.append(_line("ota_password", chance.token_hex(16)))
    write_secret(file, "\n".join(lines) + "\n")
    say(f"wrote {file}")
    return missing


def _line(name: str, value: str) -> str:
    return f"{name}: {json.dumps(value)}"
