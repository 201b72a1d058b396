"""`edgematrix firmware sign`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import plain, say
from edgematrix.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix firmware sign greenhouse-2.emfw --key update.pem"""


def command(
    file: Annotated[Path, typer.Argument(metavar="IMAGE", help="What `firmware build` made.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="What `firmware key` made: a PEM file, or a secret.")],
) -> None:
    """Sign an image. What is signed is its manifest, which holds the SHA-256 of all the rest."""
    from firmware_bridge.ota.image import read_image  # noqa: PLC0415 - help needs none of it
    from firmware_bridge.ota.key import read_key  # noqa: PLC0415

    signer = read_key(key)
    image = read_image(file)
    signed = image.signed(signer.sign(image.manifest_bytes))
    draft = file.with_name(f"{file.name}.new")
    try:
        draft.write_bytes(signed.to_bytes())
        draft.replace(file)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(file)) from None
    about = image.manifest
    say(f"{file}: version {about.version} for {plain(about.board)}, signed with {signer.key_id.hex()}")
