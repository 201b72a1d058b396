"""`edgematrix watch`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer

from edgematrix.cli.console import complain, plain, say, style
from edgematrix.cli.options import Duration, ForOption, RootOption, UrlOption
from edgematrix.cli.sighting import Sighting, json_line, text_line
from edgematrix.cli.stop import on_stop
from edgematrix.cli.target import Target, find_target
from edgematrix.cli.visit import visit
from edgematrix.errors import PathError, TopicError, UsageError
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.path import parse_path

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix watch                            # all that the agents say
edgematrix watch home/hall                  # of one part of the tree
edgematrix watch 'zigbee2mqtt/#' --json     # of other systems on the same broker
edgematrix watch em/dead/# --count 1        # wait for the first message that could not be handled"""


def command(
    filters: Annotated[
        list[str] | None, typer.Argument(metavar="FILTER", help="MQTT filters, or paths of the running matrix.", show_default=False)
    ] = None,
    url: UrlOption = None,
    root: RootOption = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    duration: ForOption = None,
    count: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End after N messages.")] = None,
) -> None:
    """Show what travels on the bus, decoded, until Ctrl-C.

    With both --for and --count the exit code is 1 if there were fewer messages in that time.
    """
    target = find_target(url, root)
    wanted = [_subscription(text, target) for text in filters or [f"{target.root}/#"]]
    watching = Watching(target.root, json, count)
    asyncio.run(_watch(target, wanted, watching, duration))
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
            say(json_line(sighting) if self.json else text_line(sighting, self.before))
        except OSError as error:  # whoever reads this has gone, as `head` does
            self.failure = error
            self.ended.set()
            return
        self.before = sighting.subject
        self.seen += 1
        if self.seen == self.count_max:
            self.ended.set()


async def _watch(target: Target, filters: Sequence[str], watching: Watching, duration: Duration | None) -> None:
    async with visit(target.url, filters, watching.show, changed=_note) as guest:
        complain(style(f"{', '.join(map(plain, filters))} on {guest.where}; Ctrl-C ends it", dim=True))
        with on_stop(watching.ended.set):
            ended = asyncio.create_task(watching.ended.wait())
            waited = {ended, guest.running} if guest.running else {ended}
            await asyncio.wait(waited, timeout=None if duration is None else duration.seconds, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
        for trouble in guest.trouble:
            _note(trouble)
        if guest.running is not None and guest.running.done():
            guest.running.result()


def _note(text: str) -> None:
    complain(style(text, fg="yellow"))


def _subscription(text: str, target: Target) -> str:
    """A filter as the broker is asked for it. A path of the running matrix stands for all that it says and hears."""
    if target.run is not None and text.partition("/")[0] == target.run.name:
        try:
            return f"{target.root}/+/{parse_path(text.rstrip('/'))}/#"
        except PathError:
            pass
    try:
        return TopicFilter.parse(text).subscription
    except TopicError as error:
        raise UsageError(error.what, remedy="such as 'zigbee2mqtt/#', or a path of the running matrix") from None
