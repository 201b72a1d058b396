"""What `edgematrix host list` does."""

from __future__ import annotations

import asyncio

from edgematrix.cli.console import complain, plain, say, shorten, style
from edgematrix.cli.display import json_text
from edgematrix.cli.hosts_seen import HostsSeen, wait_quiet
from edgematrix.cli.target import Target
from edgematrix.cli.visit import visit
from edgematrix.hosting.capability import PROTOCOL_VERSION, Birth, as_plain

__all__ = ["list_hosts"]

_HEADS = ("HOST", "STATE", "MATRIX", "REVISION", "AGENTS", "LOAD", "VERSION", "LABELS")
_WIDTH_MAX = 30


async def list_hosts(target: Target, *, as_json: bool) -> None:
    """Show the hosts of a bus.

    Raises:
        BusError: no broker answers.
    """
    seen, heard = HostsSeen(target.root), asyncio.Event()

    def received(topic: str, payload: bytes, qos: int, retained: bool) -> None:
        del qos, retained
        if seen.take(topic, payload):
            heard.set()

    async with visit(target.url, [seen.filter], received, qos=1):
        await wait_quiet(heard)
    births = [seen.births[name] for name in sorted(seen.births)]
    if as_json:
        for birth in births:
            say(json_text({"name": birth.name, **as_plain(birth)}))
    elif births:
        _show(births)
    else:
        say("no hosts")
    for name, reason in sorted(seen.unread.items()):
        complain(style(f"{plain(name)}: {plain(reason)}", fg="yellow"))


def _show(births: list[Birth]) -> None:
    rows = [_HEADS, *map(_row, births)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    for index, row in enumerate(rows):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        say(style(line, dim=True) if index == 0 or row[1] == "offline" else line)
    for birth in births:
        if birth.is_online and birth.protocol != PROTOCOL_VERSION:
            say(style(f"{birth.name} speaks the protocol version {birth.protocol}, and this edgematrix {PROTOCOL_VERSION}", fg="red"))
        if birth.refused is not None:
            about = f"revision {birth.refused.revision}" if birth.refused.revision else "a deployment"
            say(style(f"{birth.name} refuses {about}: {plain(birth.refused.reason)}", fg="red"))


def _row(birth: Birth) -> tuple[str, ...]:
    if not birth.is_online:
        return (plain(birth.name), "offline", *("",) * (len(_HEADS) - 2))
    revision = str(birth.revision) if birth.revision else "-"
    labels = shorten(" ".join(birth.capability.labels), _WIDTH_MAX)
    told = (birth.matrix or "-", revision, str(birth.agents), f"{birth.load:.2f}", birth.version or "-", labels)
    return (plain(birth.name), "online" if birth.follows else "run", *map(plain, told))
