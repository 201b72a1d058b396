"""`edgematrix send`."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgematrix.cli.console import plain, say, style, write
from edgematrix.cli.display import value_text
from edgematrix.cli.narrowing import Narrowing
from edgematrix.cli.operator import ANSWER_S_MAX, Operator
from edgematrix.cli.options import Duration, RootOption, UrlOption, read_duration
from edgematrix.cli.parts_text import PartsText
from edgematrix.cli.sighting import Sighting
from edgematrix.cli.target import Target, find_target
from edgematrix.cli.visit import Visit, visit
from edgematrix.errors import BusError, PathError, UsageError
from edgematrix.protocol.codec import decode_value, encode_event
from edgematrix.protocol.event import Event
from edgematrix.protocol.message import Publication
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.path import AgentPath, check_name, parse_path
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.ids import id_maker

if TYPE_CHECKING:
    from edgematrix.config.agent_tree import AgentTree

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix send home/helper.say "turn on the light in the hall"
edgematrix send home/hall/lamp.set '{"state": "ON", "brightness": 120}'
edgematrix send home/report "the week"        # its only input, or `in`
edgematrix send home/helper "a story" --follow   # what it streams, piece by piece, then the whole
edgematrix send home/greenhouse/board.set on --url mqtt://192.168.1.10"""

_DEFAULT_INPUT = "in"
_QUIET_S = 0.3
_WAIT_S = 1.0
_FOLLOW_S_MAX = 600.0


def command(
    to: Annotated[
        str, typer.Argument(metavar="PATH[.PORT]", help="An agent and one of its input ports. Default: its only one, else `in`.")
    ],
    work: Annotated[str, typer.Argument(metavar="TEXT_OR_JSON", help="JSON as its value, anything else as the text that it is.")],
    url: UrlOption = None,
    root: RootOption = None,
    wait: Annotated[
        Duration | None,
        typer.Option(
            "--wait", metavar="DURATION", parser=read_duration, help="Show what follows in that time; 0 for nothing. Default: 1s."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show what the agent streams, and wait for its answer, at most 10 minutes, or --wait.")
    ] = False,
) -> None:
    """Send work to an agent of a running matrix, and show what follows from it.

    The exit code is 1 if the agent is not there, or refuses the work in that time; with --follow also if no answer comes.
    """
    path, port = _receiver(to)
    asyncio.run(_Sending(find_target(url, root), path, port, decode_value(work.encode()), follow=follow).run(wait))


def _receiver(text: str) -> tuple[AgentPath, str]:
    """The agent and its port; the empty text for the one that is meant where none is named."""
    head, dot, port = text.partition(".")
    try:
        return parse_path(head), check_name(port, "port") if dot else ""
    except PathError as error:
        remedy = "an agent's path, a dot and a port, such as home/hall/lamp.set"
        raise UsageError(error.what, remedy=error.remedy or remedy) from None


def _port(path: AgentPath, port: str, tree: AgentTree | None) -> str:
    """The port that is meant, as the agent's definition says; the empty text where nothing is known of it.

    Raises:
        BusError: the agent has no such port.
        UsageError: none is named, and it has several.
    """
    if tree is None or path not in tree.nodes:
        return port
    try:
        return tree.destination(f"/{path}.{port}" if port else f"/{path}", path).port
    except PathError as error:
        if port or not tree.ports(tree.nodes[path]).inputs:
            raise BusError(error.what, remedy=error.remedy) from None
        raise UsageError(f"{path!r} names no port", remedy=error.remedy) from None


def _tree_of_file(target: Target, path: AgentPath) -> AgentTree | None:
    """The matrix that runs here, as its file has it; None where none does, or the file has become wrong."""
    if target.run is None or path.partition("/")[0] != target.run.name:
        return None
    from edgematrix.config.agent_tree import AgentTree  # noqa: PLC0415 - a matrix is read only where one runs here
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415 - as above
    from edgematrix.errors import ConfigError  # noqa: PLC0415 - as above

    try:
        return AgentTree.of(open_matrix(Path(target.run.matrix), imports=False).spec)
    except ConfigError:
        return None


def _tree_of_definition(path: AgentPath, definition: object) -> AgentTree | None:
    """The agent alone, by the definition that its host has published; None where that is none."""
    from edgematrix.config.agent_tree import AgentTree  # noqa: PLC0415 - only a matrix that was changed has one
    from edgematrix.config.exchange import load  # noqa: PLC0415 - as above
    from edgematrix.errors import ConfigError  # noqa: PLC0415 - as above

    matrix, *names = path.split("/")
    for name in reversed(names):
        definition = {"agents": {name: definition}}
    try:
        return AgentTree.of(load({"matrix": matrix, **definition})) if isinstance(definition, dict) else None
    except ConfigError:
        return None


class _Sending:
    """One message, from the question who is there to what follows from it."""

    def __init__(self, target: Target, path: AgentPath, port: str, value: object, *, follow: bool) -> None:
        self._target = target
        self._path = path
        self._port = port
        self._value = value
        self._operator = Operator(target)
        self._seen = self._operator.agents
        self._id = id_maker()(time.time_ns() // 1_000)
        self._topic = ""
        self._definition: object = None
        """What the agent was changed to while it runs; None where it was not."""
        self._heard = asyncio.Event()
        self._parts = PartsText() if follow else None
        """What the agent streams; None where that is not wanted."""
        self._answered = False
        self._early: list[str] | None = []
        """What is to be written of what followed before the broker's word came; None once it has."""
        self._refused = False
        self._replies: dict[str, dict[str, object]] = {}
        """What hosts have answered, where an operator asks who has a name."""

    async def run(self, wait: Duration | None) -> None:
        """Send, and show what follows."""
        root, matrix = self._target.root, self._path.partition("/")[0]
        effects, dead = (f"{root}/{kind}/{matrix}/#" for kind in (Kind.OUT, Kind.DEAD))
        filters = [topic_for(root, kind, self._path) for kind in (Kind.SPEC, Kind.ACK)]
        filters += [*self._operator.filters, effects, dead]
        narrowing = Narrowing(root, [])
        narrowing.instead[effects] = [f"{root}/{Kind.OUT}/{self._path}/#"]  # for who is shown a part of the matrix alone
        narrowing.instead[dead] = [topic_for(root, Kind.DEAD, matrix), f"{root}/{Kind.DEAD}/{self._path}/#"]
        if self._parts is not None:
            filters.append(f"{root}/{Kind.PART}/{self._path}/+")
        async with visit(self._target.url, filters, self._received, narrowing=narrowing) as guest:
            await self._find_receiver()
            self._port = _port(self._path, self._port, self._tree()) or _DEFAULT_INPUT
            self._topic = topic_for(root, Kind.IN, self._path, self._port)
            await self._send(guest)
            say(f"{style('✓', fg='green')} {self._path}.{self._port} {value_text(self._value)}")
            followed, self._early = self._early or [], None
            for text in followed:
                write(text)
            if self._parts is None:
                wait_s = _WAIT_S if wait is None else wait.seconds
                await self._until_quiet(wait_s, _QUIET_S if followed else wait_s)
            else:
                await self._until_answered(_FOLLOW_S_MAX if wait is None else wait.seconds)
                write(self._parts.end())
        if self._refused:
            raise typer.Exit(1)
        if self._parts is not None and not self._answered:
            raise BusError(f"{self._path} has not answered", remedy=f"`edgematrix trace {self._id}` shows how far it is")

    async def _send(self, guest: Visit) -> None:
        """Hand the work to the agent; an operator whom the broker knows asks its host to do that, so that it is known who sent it.

        Raises:
            BusError: the broker or the host refuses it, or the host does not answer.
        """
        hosts = self._seen.hosts_of(self._path) if self._operator.is_named else set()
        if not hosts:
            await guest.assure(self._publication())  # a board has no host, and where nobody has a name there is none to be told
            return
        await guest.assure(self._operator.request("send", self._path, {"port": self._port, "payload": self._value}, self._id))
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                while not any(host in hosts or "done" in told for host, told in self._replies.items()):
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            if not self._replies:
                raise self._operator.unanswered("send", hosts, guest) from None
        told = list(self._replies.values())
        if not any("done" in answer for answer in told):
            raise BusError(str(told[0].get("refused")), remedy=str(told[0].get("remedy") or ""))

    def _tree(self) -> AgentTree | None:
        """What is known of the agent's ports: by what it was changed to while it runs, else by its file."""
        if self._definition is not None:
            return _tree_of_definition(self._path, self._definition)
        if self._port and self._seen.revision(self._path):
            return None  # the matrix was changed since its file was read: that says what is meant, and not what is wrong
        return _tree_of_file(self._target, self._path)

    def _publication(self) -> Publication:
        matrix = self._path.partition("/")[0]
        event = Event(
            specversion="1.0",
            id=self._id,
            source=f"/{matrix}",
            type=f"em.{Kind.IN}.{self._port}",
            time=format_moment(time.time_ns() // 1_000),
            data=self._value,
            runid=self._id,
        )
        return Publication(self._topic, encode_event(event), 1)

    async def _find_receiver(self) -> None:
        """Wait for what is retained about the agent; if it does not come, say who is there."""
        if not await self._seen.wait_until(lambda: self._seen.is_ready(self._path)):
            raise BusError(self._seen.why_not(self._path), remedy=self._seen.nearest(self._path))

    async def _until_answered(self, wait_s: float) -> None:
        """Wait for the whole, and a while for what comes with it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not (self._answered or self._refused):
                    self._heard.clear()
                    await self._heard.wait()
        if self._answered:
            await self._until_quiet(_QUIET_S, _QUIET_S)

    async def _until_quiet(self, wait_s: float, quiet_s: float) -> None:
        """Show what follows, until nothing more has come for a while."""
        self._heard.clear()
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    async with asyncio.timeout(quiet_s):
                        await self._heard.wait()
                    self._heard.clear()
                    quiet_s = _QUIET_S
        except TimeoutError:
            return

    def _received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        seen = Sighting.of(topic, payload, qos, retained, self._target.root)
        if seen.kind == Kind.SPEC:
            self._definition = seen.value
        elif seen.kind in (Kind.STATE, Kind.HOST):
            self._seen.take(seen)
            self._heard.set()
        elif seen.kind == Kind.REPLY:
            if isinstance(seen.value, dict):
                self._replies[seen.path.partition("/")[0]] = seen.value
                self._heard.set()
        elif seen.kind == Kind.ACK:
            self._acknowledged(seen)
        elif seen.kind == Kind.DEAD and isinstance(seen.value, dict) and self._is_refusal(seen, seen.value.get("topic")):
            self._refused = True
            self._follows(f"{style('✗', fg='red')} {seen.path}: {plain(str(seen.value.get('reason')))}")
        elif seen.trail.runid == self._id and not seen.retained:
            if seen.kind == Kind.PART and self._parts is not None:
                self._write(self._parts.take(seen))
                return
            self._follows(f"  {_effect(seen)}")
            self._answered = self._answered or (seen.kind == Kind.OUT and seen.path == self._path and seen.port not in ("error", "_end"))

    def _acknowledged(self, seen: Sighting) -> None:
        """Take the word of a board: it has no dead letters, and says so what it does not do."""
        if isinstance(seen.value, dict) and seen.value.get("id") == self._id and seen.value.get("error"):
            self._refused = True
            self._follows(f"{style('✗', fg='red')} {seen.path}: {plain(str(seen.value['error']))}")

    def _is_refusal(self, seen: Sighting, topic: object) -> bool:
        """Whether the work was not taken; for who waits for the answer also, that the run of the agent has failed."""
        if topic == self._topic:
            return True
        if self._parts is None or topic != f"{self._target.root}/run/{self._path}" or not isinstance(seen.value, dict):
            return False
        worked_on = seen.value.get("payload")  # a dead letter names no run
        return isinstance(worked_on, dict) and self._value in worked_on.values()

    def _follows(self, line: str) -> None:
        self._write(f"{'' if self._parts is None else self._parts.end()}{line}\n")

    def _write(self, text: str) -> None:
        if self._early is None:
            write(text)
        else:
            self._early.append(text)
        self._heard.set()


def _effect(seen: Sighting) -> str:
    """What an agent put out; of one that answers in words, the words."""
    answer = seen.value.get("answer") if isinstance(seen.value, dict) else None
    if isinstance(answer, str) and answer:
        return f"{seen.path}: {plain(answer)}"
    return f"{seen.path}.{seen.port} {value_text(seen.value)}"
