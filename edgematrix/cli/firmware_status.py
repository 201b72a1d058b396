"""`edgematrix firmware status`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgematrix.cli.console import plain, say, shorten, style
from edgematrix.cli.display import json_text
from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.target import Target, find_target
from edgematrix.errors import UsageError

if TYPE_CHECKING:
    from edgematrix.cli.boards_seen import BoardSeen, BoardsSeen
    from edgematrix.config.spec import MatrixSpec
    from firmware_bridge.ota.desk import Told

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix firmware status
edgematrix firmware status home/greenhouse/board --url mqtt://192.168.1.10
edgematrix firmware status --matrix home.yaml            # also which boards do not judge what they could
edgematrix firmware status --matrix home.yaml --clear    # take back what is left for boards that are gone
edgematrix firmware status --json | jq -r 'select(.refused) | .path'"""

_HEADS = ("BOARD", "KIND", "VERSION", "SLOT", "PHASE")
_REASON_LENGTH_MAX = 120


def command(
    boards: Annotated[list[str] | None, typer.Argument(metavar="[PATH…]", help="These only.")] = None,
    matrix: Annotated[
        Path | None, typer.Option("--matrix", metavar="FILE", help="The matrix file, to tell which boards there are, and what they judge.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take back rules and offers for boards that the matrix has no more.")] = False,
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which version each board runs, what it loads or tries, what it refused or gave up and why, and which rules it judges.

    It is what boards said last: `edgematrix watch` shows who is there. With --matrix it also tells which boards do not judge what
    they could, and what the broker holds for boards that are gone.
    """
    paths = [str(read_path(board)) for board in boards or ()]
    if clear and matrix is None:
        raise UsageError("which boards are gone is told by the matrix", where="--clear", remedy="--matrix FILE")
    spec = _open(matrix)
    target = find_target(url, root if root is not None or spec is None else spec.root)
    wanted = {} if spec is None else _rules_of(spec)
    seen, left = asyncio.run(_look(target, paths, spec, clear=clear))
    found = {path: board for path, board in seen.boards.items() if board.told is not None or board.judges or wanted.get(path)}
    for path in paths:
        if path not in found:
            say(style(f"{plain(path)} has said nothing of its program", fg="yellow"))
    if as_json:
        _say_json(found, left)
    else:
        if found:
            _show(found, wanted)
        elif not paths:
            say("no boards that can be updated, or judge")
        for topic in left:
            what = "taken back" if clear else "left over, --clear takes it back"
            say(style(f"{plain(topic)} is for a board that is gone: {what}", fg="yellow"))
    if len(found) < len(paths):
        raise typer.Exit(1)


def _open(matrix: Path | None) -> MatrixSpec | None:
    if matrix is None:
        return None
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415 - help needs none of it

    return open_matrix(matrix, imports=False).spec


def _rules_of(spec: MatrixSpec) -> dict[str, int]:
    """How many groups each board of a matrix could judge."""
    from edgematrix.config.agent_tree import AgentTree  # noqa: PLC0415 - who names no matrix needs none of it
    from edgematrix.config.board_rules import board_rules  # noqa: PLC0415

    return {str(found.board): len(found.table.rules) for found in board_rules(AgentTree.of(spec))[0]}


async def _look(target: Target, paths: list[str], spec: MatrixSpec | None, *, clear: bool) -> tuple[BoardsSeen, list[str]]:
    """What boards have said, and the topics that hold something for those that are gone; these are cleared if that is asked for."""
    from edgematrix.cli.boards_seen import BoardsSeen  # noqa: PLC0415 - what is typed is checked first
    from edgematrix.cli.hosts_seen import wait_quiet  # noqa: PLC0415
    from edgematrix.cli.visit import visit  # noqa: PLC0415
    from edgematrix.protocol.message import Publication  # noqa: PLC0415

    seen = BoardsSeen(target.root, paths, "" if spec is None else spec.matrix)
    heard = asyncio.Event()

    def received(topic: str, payload: bytes, qos: int, retained: bool) -> None:
        del qos, retained
        heard.set()
        seen.take(topic, payload)

    async with visit(target.url, seen.filters, received, qos=1) as guest:
        await wait_quiet(heard)
        left = [] if spec is None else [f"{target.root}/in/{topic}" for topic in seen.left_over(set(_rules_of(spec)))]
        for topic in left if clear else ():
            await guest.assure(Publication(topic, b"", 1, retain=True))
    return seen, left


def _say_json(found: dict[str, BoardSeen], left: list[str]) -> None:
    from msgspec import to_builtins  # noqa: PLC0415 - placed with its only use

    for path, board in found.items():
        told = {} if board.told is None else {"percent": board.percent, **to_builtins(board.told)}
        rules = {"judges": bool(board.judges), "table": board.table, "offered": board.offered, "refused": to_builtins(board.refused)}
        say(json_text({"path": path, **told, "rules": rules}))
    for topic in left:
        say(json_text({"left_over": topic}))


def _show(found: dict[str, BoardSeen], wanted: dict[str, int]) -> None:
    rows = [_HEADS, *(_row(path, board.told, board.percent) for path, board in found.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    say(style(lines[0], dim=True))
    for (path, board), line in zip(found.items(), lines[1:], strict=True):
        say(line)
        if board.told is not None:
            _show_update(board.told)
        _show_rules(board, wanted.get(path, 0))


def _show_update(told: Told) -> None:
    if told.refused is not None:
        about = f"version {told.refused.version}" if told.refused.version else "an offer"
        say(style(f"  refused {about}: {_reason(told.refused.reason)} ({plain(told.refused.code)})", fg="red"))
    for version, reason in told.failed:
        say(style(f"  gave up version {version}: {_reason(reason)}", fg="red"))


def _show_rules(board: BoardSeen, wanted: int) -> None:
    """What it judges; where that is less than it could, why."""
    groups = f"{wanted} group{'' if wanted == 1 else 's'}"
    if board.refused is not None and board.refused.table:
        say(style(f"  refused the rules {plain(board.refused.table[:16])}: {_reason(board.refused.reason)}", fg="red"))
    elif board.judges and board.table:
        say(f"  judges the rules {plain(board.table[:16])} itself")
        if board.offered and board.offered != board.table:
            say(style(f"  the broker holds the rules {plain(board.offered[:16])} for it, which it has not taken yet", fg="yellow"))
    elif wanted and board.judges:
        say(style(f"  could judge {groups}, and has no rules yet: the host judges", fg="yellow"))
    elif wanted:
        say(style(f"  could judge {groups}, and its program has no Judge: the host judges, and nobody while it is cut off", fg="yellow"))


def _row(path: str, told: Told | None, loaded: int | None) -> tuple[str, ...]:
    if told is None:
        return (plain(path), "-", "-", "-", "-")
    percent = f" {loaded} %" if told.phase == "loading" and loaded is not None else ""
    offered = f" of {told.offered}" if told.phase != "idle" and told.offered else ""
    version = str(told.version) if told.version else "-"
    return (plain(path), plain(shorten(told.board, 40)), version, plain(told.slot) or "-", f"{plain(told.phase)}{percent}{offered}")


def _reason(text: str) -> str:
    return plain(shorten(text, _REASON_LENGTH_MAX))
