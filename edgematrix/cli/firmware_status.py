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
    found = asyncio.run(_look(target, paths))
    for path in paths:
        if path not in found:
            say(style(f"{plain(path)} has said nothing of its program", fg="yellow"))
    if as_json:
        from msgspec import to_builtins  # noqa: PLC0415 - placed with its only use

        for path, told in found.items():
            say(json_text({"path": path, **to_builtins(told)}))
    elif found:
        _show(found)
    elif not paths:
        say("no boards that can be updated")
    if len(found) < len(paths):
        raise typer.Exit(1)


async def _look(target: Target, paths: list[str]) -> dict[str, Told]:
    """What boards have said, by path."""
    from edgematrix.cli.hosts_seen import wait_quiet  # noqa: PLC0415 - what is typed is checked first
    from edgematrix.cli.visit import visit  # noqa: PLC0415
    from firmware_bridge.ota.desk import FIRMWARE, read_told  # noqa: PLC0415

    found: dict[str, Told] = {}
    heard = asyncio.Event()
    head, tail = f"{target.root}/state/", f"/{FIRMWARE}"

    def received(topic: str, payload: bytes, qos: int, retained: bool) -> None:
        del qos, retained
        heard.set()
        told = read_told(payload) if topic.endswith(tail) else None
        if told is not None and len(found) < _BOARDS_MAX:
            found[topic[len(head) : -len(tail)]] = told

    filters = [f"{head}{path}{tail}" for path in paths] or [f"{head}#"]
    async with visit(target.url, filters, received, qos=1):
        await wait_quiet(heard)
    return dict(sorted(found.items()))


def _show(found: dict[str, Told]) -> None:
    rows = [_HEADS, *(_row(path, told) for path, told in found.items())]
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


def _row(path: str, told: Told) -> tuple[str, ...]:
    percent = f" {told.percent} %" if told.phase == "loading" and told.percent is not None else ""
    offered = f" of {told.offered}" if told.phase != "idle" and told.offered else ""
    version = str(told.version) if told.version else "-"
    return (plain(path), plain(shorten(told.board, 40)), version, plain(told.slot) or "-", f"{plain(told.phase)}{percent}{offered}")


def _reason(text: str) -> str:
    return plain(shorten(text, _REASON_LENGTH_MAX))
