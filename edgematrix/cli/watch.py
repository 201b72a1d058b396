"""`edgematrix watch`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer

from edgematrix.cli.console import complain, plain, say, style, write
from edgematrix.cli.narrowing import Narrowing
from edgematrix.cli.operator import Operator
from edgematrix.cli.options import Duration, ForOption, RootOption, UrlOption, read_path
from edgematrix.cli.parts_text import PartsText
from edgematrix.cli.sighting import Sighting, json_line, text_line
from edgematrix.cli.stop import on_stop
from edgematrix.cli.target import Target, find_target
from edgematrix.cli.visit import Visit, visit
from edgematrix.errors import PathError, TopicError, UsageError
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.path import parse_path
from edgematrix.protocol.topic import Kind

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix watch                            # all that the agents say
edgematrix watch home/hall                  # of one part of the tree
edgematrix watch 'zigbee2mqtt/#' --json     # of other systems on the same broker
edgematrix watch em/dead/# --count 1        # wait for the first message that could not be handled
edgematrix watch --parts home/helper        # what an agent streams, piece by piece"""
_RENEW_S = 20.0
"""A lease is for 60 s: a renewal or two may be lost."""


def command(
    filters: Annotated[
        list[str] | None, typer.Argument(metavar="FILTER", help="MQTT filters, or paths of the running matrix.", show_default=False)
    ] = None,
    url: UrlOption = None,
    root: RootOption = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    parts: Annotated[bool, typer.Option("--parts", help="Show the pieces of outputs that are streamed, as running text.")] = False,
    duration: ForOption = None,
    count: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End after N messages.")] = None,
) -> None:
    """Show what travels on the bus, decoded, until Ctrl-C.

    With --parts, of agents that are named also what they stream to one another; without a name all that is streamed on the bus.
    With both --for and --count the exit code is 1 if there were fewer messages in that time.
    """
    target = find_target(url, root)
    streaming = [read_path(text) for text in filters or ()] if parts else []
    if parts:
        wanted = [f"{target.root}/{kind}/{rest}" for rest in _streams(streaming) for kind in (Kind.PART, Kind.OUT)]
    else:
        wanted = [found for text in filters or [f"{target.root}/#"] for found in _subscriptions(text, target)]
    watching = Watching(target.root, json, count, PartsText() if parts else None)
    asyncio.run(_watch(target, wanted, watching, duration, streaming))
    if watching.failure:
        raise watching.failure
    if count is not None and duration is not None and watching.seen < count:
        complain(f"{watching.seen} of {count} messages came")
        raise typer.Exit(1)


@dataclass(slots=True)
class Watching:
    """What has been shown so far."""

    root: str
    json: bool
    count_max: int | None
    parts: PartsText | None = None
    """Where pieces of outputs are shown alone, as running text."""
    seen: int = 0
    before: str = ""
    """What the last line was about; what the next one has in common with it is printed dimly."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failure: BaseException | None = None

    def show(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """Print one message."""
        if self.ended.is_set():
            return
        sighting = Sighting.of(topic, payload, qos, retained, self.root)
        try:
            if self.parts is not None:
                if not self._show_part(sighting, self.parts):
                    return
            else:
                say(json_line(sighting) if self.json else text_line(sighting, self.before))
        except OSError as error:  # whoever reads this has gone, as `head` does
            self.failure = error
            self.ended.set()
            return
        self.before = sighting.subject
        self.seen += 1
        if self.seen == self.count_max:
            self.ended.set()

    def _show_part(self, seen: Sighting, parts: PartsText) -> bool:
        """Show a piece; whether it is one."""
        is_piece = seen.kind == Kind.PART
        if not self.json:
            write(parts.take(seen))
        elif is_piece:
            say(json_line(seen))
        return is_piece


async def _watch(target: Target, filters: Sequence[str], watching: Watching, duration: Duration | None, paths: Sequence[str]) -> None:
    narrowing = Narrowing(target.root, filters)

    def received(topic: str, payload: bytes, qos: int, retained: bool) -> None:
        if narrowing.shows(topic):
            watching.show(topic, payload, qos, retained)

    async with visit(target.url, filters, received, changed=_note, narrowing=narrowing) as guest:
        complain(style(f"{', '.join(map(plain, filters))} on {guest.where}; Ctrl-C ends it", dim=True))
        with on_stop(watching.ended.set):
            ended = asyncio.create_task(watching.ended.wait())
            operator = Operator(target) if paths else None
            following = asyncio.create_task(_follow(guest, operator, paths))
            waited = {ended, guest.running} if guest.running else {ended}
            await asyncio.wait(waited, timeout=None if duration is None else duration.seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in (ended, following):
                task.cancel()
            if operator is not None:
                for path in paths:
                    guest.transport.publish(operator.request("watch", path, {"follow": False}))
        if watching.parts is not None and not watching.failure:
            write(watching.parts.end())
        for trouble in guest.trouble:
            _note(trouble)
        if guest.running is not None and guest.running.done():
            guest.running.result()


async def _follow(guest: Visit, operator: Operator | None, paths: Sequence[str]) -> None:
    """Keep a watch of these agents: what they stream inside composites is on the bus only meanwhile."""
    while operator is not None:
        for path in paths:
            guest.transport.publish(operator.request("watch", path, {"follow": True}))
        await asyncio.sleep(_RENEW_S)


def _streams(paths: Sequence[str]) -> list[str]:
    """What stands after the kind in the topics of these agents' outputs; of all agents where none is named."""
    return [f"{path}/+" for path in paths] or ["#"]


def _note(text: str) -> None:
    complain(style(text, fg="yellow"))


def _subscriptions(text: str, target: Target) -> list[str]:
    """Filters as the broker is asked for them. A path stands for all that the agent there says and hears.

    Where it is not known which matrix is on the bus, what may be a path may be another system's topic as well: both are asked for.
    """
    try:
        agent = [f"{target.root}/+/{parse_path(text.rstrip('/'))}/#"]
    except PathError:
        agent = []
    if target.run is not None and text.partition("/")[0] != target.run.name:
        agent = []
    if agent and target.run is not None:
        return agent
    try:
        return [TopicFilter.parse(text).subscription, *agent]
    except TopicError as error:
        raise UsageError(error.what, remedy="such as 'zigbee2mqtt/#', or a path of the running matrix") from None
