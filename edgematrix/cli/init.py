"""`edgematrix init`."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import say, style
from edgematrix.cli.run_file import FOLDER
from edgematrix.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix init my-home
edgematrix init                 # in this folder"""

_FILES = {
    "home.yaml": "the matrix: a hall with a lamp, and a helper that understands sentences",
    "evening.jsonl": "what its sensors said on one evening",
    "evening.scenario.yaml": "a test of it",
}
_IGNORE = ".gitignore"
_SECRETS = "secrets"
_STEPS = (
    ("edgematrix test", "the lamp lights in the dark; no broker, no waiting"),
    ("edgematrix run home.yaml --play evening.jsonl", "live, with a broker of its own"),
    ('edgematrix send home/helper.say "turn on the light"', "from another terminal, in the same folder"),
    ("edgematrix watch", "all that the agents say"),
)


def command(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The folder; made if it is not there.", show_default=False)] = Path(),
) -> None:
    """Make a new project: a small matrix that works at once, a recording to try it with, and a test of it.

    Nothing is overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError("is no folder", where=str(folder))
    taken = [name for name in _FILES if (folder / name).exists()]
    if taken:
        verb = "is" if len(taken) == 1 else "are"
        raise UsageError(
            f"{', '.join(taken)} {verb} there already, and nothing is overwritten", where=str(folder), remedy="name a new folder"
        )
    template = files("edgematrix.cli") / "template"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            (folder / name).write_bytes((template / name).read_bytes())
        if not (folder / _IGNORE).exists():
            (folder / _IGNORE).write_bytes((template / "gitignore").read_bytes())
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(error.filename or folder)) from None
    _tell(folder)


def _tell(folder: Path) -> None:
    say(f"{style('✓', fg='green')} a new project in {folder.absolute()}")
    width = max(map(len, _FILES))
    for name, about in _FILES.items():
        say(f"    {style(name.ljust(width), bold=True)}  {about}")
    ignored = (folder / _IGNORE).read_text(encoding="utf-8", errors="replace")
    for name, about in ((FOLDER, "what a run keeps"), (_SECRETS, "where secrets are")):
        if name not in ignored:
            say(f"    add {name}/ to your {_IGNORE}: it is {about}")
    say()
    say("Next:")
    if folder.absolute() != Path.cwd():
        say(f"    {style(f'cd {shlex.quote(str(folder))}', fg='cyan')}")
    width = max(len(step) for step, _ in _STEPS)
    for step, about in _STEPS:
        say(f"    {style(step.ljust(width), fg='cyan')}  {style(about, dim=True)}")
