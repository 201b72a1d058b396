"""`edgematrix firmware key`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import complain, say, style

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix firmware key update.pem
edgematrix firmware key update.secret --hmac"""


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it is kept. Whoever has it can make boards run anything.")],
    is_hmac: Annotated[bool, typer.Option("--hmac", help="A secret that boards have too, in place of an RSA key.")] = False,
) -> None:
    """Make a key, readable by its owner alone, and beside it FILE.keys, which boards are given as `update.keys`."""
    from edgematrix.identity.secret_file import write_secret  # noqa: PLC0415 - help needs none of it
    from firmware_bridge.ota.key import make_key  # noqa: PLC0415

    key = make_key(file, is_hmac=is_hmac)
    beside = file.with_name(f"{file.name}.keys")
    write_secret(beside, f"{key.line}\n")
    say(f"made {file} ({'a secret' if is_hmac else 'RSA, 2048 bits'}, id {key.key_id.hex()}): keep it safe")
    say(f"boards get {beside} as update.keys: edgematrix firmware build … --key {file} --tree FOLDER")
    if is_hmac:
        complain(style("! each board has this secret: whoever reads the flash of one can sign for all", fg="yellow"))
