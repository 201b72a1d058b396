"""`edgematrix firmware status`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from edgematrix.cli.console import plain, say, shorten, style
from edgematrix.cli.display import json_text
from edgematrix.cli.options import JsonOption, RootOption, UrlOption, read_path
from edgematrix.cli.target import Target, find_target

if TYPE_CHECKING:
    from firmware_bridge.ota.desk import Told

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix firmware status
edgematrix firmware status home/greenhouse/board --url mqtt://192.168.1.10
edgematrix firmware status --json | jq -r 'select(.refused) | .path'"""

_HEADS = ("BOARD", "KIND", "VERSION", "SLOT", "PHASE")
_BOARDS_MAX = 10_000
_REASON_LENGTH_MAX = 120


def command(
    boards: Annotated[list[str] | None, typer.Argument(metavar="[PATH…]", help="These only.")] = None,
    url: UrlOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which version each board runs, what it loads or tries, and what it refused or gave up, with the reason.

    It is what boards said last: `edgematrix watch` shows who is there.
    """
    paths = [str(read_path(board)) for board in boards or ()]
    target = find_target(url, root)
    found, percents = asyncio.run(_look(target, paths))
    for path in paths:
        if path not in found:
            say(style(f"{plain(path)} has said nothing of its program", fg="yellow"))
    if as_json:
        from msgspec import to_builtins  # noqa: PLC0415 - placed with its only use

        for path, told in found.items():
            say(json_text({"path": path, "percent": percents.get(path), **to_builtins(told)}))
    elif found:
        _show(found, percents)
    elif not paths:
        say("no boards that can be updated")
    if len(found) < len(paths):
        raise typer.Exit(1)


async def _look(target: Target, paths: list[str]) -> tuple[dict[str, Told], dict[str, int]]:
    """What boards have said, by path, and how many per cent are loaded where something is."""
    from edgematrix.cli.hosts_seen import wait_quiet  # noqa: PLC0415 - what is typed is checked first
    from edgematrix.cli.visit import visit  # noqa: PLC0415
    from firmware_bridge.ota.desk import FIRMWARE, UPDATE, read_percent, read_told  # noqa: PLC0415

    found: dict[str, Told] = {}
    percents: dict[str, int] = {}
    heard = asyncio.Event()
    head = f"{target.root}/state/"

    def received(topic: str, payload: bytes, qos: int, retained: bool) -> None:
        del qos, retained
        heard.set()
        path, _, name = topic.removeprefix(head).rpartition("/")
        told = read_told(payload) if name == FIRMWARE and len(found) < _BOARDS_MAX else None
        percent = read_percent(payload) if name == UPDATE and len(percents) < _BOARDS_MAX else None
        if told is not None:
            found[path] = told
        elif percent is not None:
            percents[path] = percent

    filters = [f"{head}{path}/{name}" for path in paths for name in (FIRMWARE, UPDATE)] or [f"{head}#"]
    async with visit(target.url, filters, received, qos=1):
        await wait_quiet(heard)
    return dict(sorted(found.items())), percents


def _show(found: dict[str, Told], percents: dict[str, int]) -> None:
    rows = [_HEADS, *(_row(path, told, percents.get(path)) for path, told in found.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    told_of = [None, *found.values()]
    for told, row in zip(told_of, rows, strict=True):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        say(style(line, dim=True) if told is None else line)
        if told is None:
            continue
        if told.refused is not None:
            about = f"version {told.refused.version}" if told.refused.version else "an offer"
            say(style(f"  refused {about}: {_reason(told.refused.reason)} ({plain(told.refused.code)})", fg="red"))
        for version, reason in told.failed:
            say(style(f"  gave up version {version}: {_reason(reason)}", fg="red"))


def _row(path: str, told: Told, loaded: int | None) -> tuple[str, ...]:
    percent = f" {loaded} %" if told.phase == "loading" and loaded is not None else ""
    offered = f" of {told.offered}" if told.phase != "idle" and told.offered else ""
    version = str(told.version) if told.version else "-"
    return (plain(path), plain(shorten(told.board, 40)), version, plain(told.slot) or "-", f"{plain(told.phase)}{percent}{offered}")


def _reason(text: str) -> str:
    return plain(shorten(text, _REASON_LENGTH_MAX))
