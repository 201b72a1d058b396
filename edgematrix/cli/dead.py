"""`edgematrix dead`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from edgematrix.cli.console import complain, say, style
from edgematrix.cli.display import json_text
from edgematrix.cli.help import CommandWithExample
from edgematrix.cli.letter_handling import LETTERS_MAX, Answered, LetterQuestion
from edgematrix.cli.letter_text import outcome_line, table, whole
from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.target import find_target
from edgematrix.errors import UsageError

__all__ = ["EXAMPLE", "SUBCOMMANDS"]

EXAMPLE = """edgematrix dead list home/hall       # messages that could not be handled, newest first
edgematrix dead show 1f6c2a9e        # one of them, with its payload
edgematrix dead retry 1f6c2a9e       # hand it in again
edgematrix dead drop --all home/hall"""

_WIDTH_PIPED = 120

SUBCOMMANDS = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

_Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids, or their ends as `list` shows them; with --all a path.")]
_InOption = Annotated[
    str | None, typer.Option("--in", metavar="PATH", help="The agent, or what agents are in, whose they are. Default: the matrix.")
]
_AllOption = Annotated[bool, typer.Option("--all", help="All of the matrix, or of the agents at a path.")]
_YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before all are handled.")]


@SUBCOMMANDS.command(
    "list",
    cls=CommandWithExample,
    epilog="""edgematrix dead list
edgematrix dead list home/hall --last 10
edgematrix dead list --json | jq -r .reason""",
)
def show_list(
    path: Annotated[str | None, typer.Argument(metavar="PATH", help="An agent, or what agents are in. Default: the matrix.")] = None,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=LETTERS_MAX, help="How many are shown.")] = 50,
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the messages that could not be handled, newest first."""
    found = _question(path, url, root, "dead list").newest(last)
    if as_json:
        _say_json(found)
        return
    if found.letters:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_PIPED
        for line in table(found.letters, width):
            say(line)
    else:
        say("no dead letters")
    left_out = found.total - len(found.letters)
    notes = [f"{left_out} older ones are kept too"] if left_out > 0 else []
    notes += [f"{found.forgotten} gave way to newer ones"] if found.forgotten else []
    if notes:
        complain(style("; ".join(notes), dim=True))


@SUBCOMMANDS.command(
    cls=CommandWithExample,
    short_help="Show all that is known of one.",
    epilog="edgematrix dead show 1f6c2a9e\nedgematrix dead show 1f6c2a9e --json | jq .payload",
)
def show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="An id, or its end as `list` shows it.")],
    part: _InOption = None,
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all that is known of one, with its payload, and how it would be retried."""
    found = _question(part, url, root, f"dead show {letter} --in").these("show", [letter])
    if as_json:
        _say_json(found)
        return
    for told in found.letters:
        for line in whole(told):
            say(line)


@SUBCOMMANDS.command(
    cls=CommandWithExample,
    short_help="Hand them in again.",
    epilog="edgematrix dead retry 1f6c2a9e 77d0e4b1\nedgematrix dead retry --all home/report --yes",
)
def retry(
    ids: _Ids = None,
    every: _AllOption = False,
    part: _InOption = None,
    yes: _YesOption = False,
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand them in again: what came on a topic as a fresh message there, what a run was begun with as new work.

    One that dies again is back, under its id. Exit code 1 if any cannot be retried, or dies again at once.
    """
    _handle("retry", ids or [], url, root, part=part, every=every, yes=yes, as_json=as_json)


@SUBCOMMANDS.command(cls=CommandWithExample, epilog="edgematrix dead drop 1f6c2a9e\nedgematrix dead drop --all home/report --yes")
def drop(
    ids: _Ids = None,
    every: _AllOption = False,
    part: _InOption = None,
    yes: _YesOption = False,
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget them."""
    _handle("drop", ids or [], url, root, part=part, every=every, yes=yes, as_json=as_json)


def _handle(
    do: str, words: Sequence[str], url: str | None, root: str | None, *, part: str | None, every: bool, yes: bool, as_json: bool
) -> None:
    if not every and not words:
        raise UsageError(f"{do} which?", remedy=f"edgematrix dead {do} ID…, or --all; `edgematrix dead list` tells the ids")
    if every and len([*words, *([part] if part else [])]) > 1:
        raise UsageError("--all takes one path, and no ids", remedy=f"edgematrix dead {do} --all PATH")
    path = (words[0] if words else part) if every else part
    question = _question(path, url, root, f"dead {do} --all" if every else f"dead {do} {' '.join(words)} --in")
    if every and not yes and sys.stdin.isatty():
        _confirm(do, question, path or "")
    found = question.every(do) if every else question.these(do, words)
    if as_json:
        _say_json(found)
    for told in () if as_json else found.letters:
        say(outcome_line(told))
    if every and not found.letters and not as_json:
        say("no dead letters")
    for text in found.unknown:
        complain(style(f"no dead letter {text} is kept", fg="red"))
    if found.unknown or any(told.get("outcome") not in ("handed_in", "dropped") for told in found.letters):
        raise typer.Exit(1)


def _confirm(do: str, question: LetterQuestion, path: str) -> None:
    total = question.newest(1).total
    what = f"{total} dead letter{'' if total == 1 else 's'}{f' of {path}' if path else ''}"
    if total and not typer.confirm(f"{do.capitalize()} {what}?", err=True):
        raise typer.Exit(1)


def _question(path: str | None, url: str | None, root: str | None, words: str) -> LetterQuestion:
    meant = "" if path is None else read_path(path)
    return LetterQuestion(find_target(url, root), meant, words)


def _say_json(found: Answered) -> None:
    for told in found.letters:
        say(json_text(told))
