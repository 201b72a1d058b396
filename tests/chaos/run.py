"""One chaos run: the chain over its hosts and a broker, numbers in, kills, numbers out, and what became of them."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from edgematrix.config.opening import open_matrix
from edgematrix.runtime.keeper import PART_SEPARATOR
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings
from tests.chaos.access import ACCESS, DEPLOYER, EAR, WORLD, address, broker_lines, denials
from tests.chaos.boards import FEED_TOPIC, SINK_TOPIC, Boards
from tests.chaos.bus import Brokers, brokers
from tests.chaos.ear import ear, heard
from tests.chaos.filler import Filler, draw_fillings
from tests.chaos.program import Program, ProgramError, Programs
from tests.chaos.reaper import Reaper
from tests.chaos.schedule import draw

__all__ = ["Options", "Result", "run"]

HERE = Path(__file__).parent
TOLD_TOPIC = "chaos/told"
HOSTS = ("a", "b", "c")
_READY_S = 120.0
_QUIET_S = 1.5
_END_S = 30.0
_TELL_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is to be done.

    `fillings` is how often the disk of a host is full for a while; with `access` the broker has the chain's access list.
    `window_max` numbers are under way at once; when nothing new comes for `patience_s` it is given up.
    """

    seed: int
    messages: int
    kills: int
    folder: Path
    broker: str = "mosquitto"
    persistent: bool = True
    hosts: int = 3
    fillings: int = 0
    access: bool = False
    window_max: int = 1_000
    patience_s: float = 120.0
    tells: bool = False


@dataclass(slots=True)
class Result:
    """What came of it.

    `back_s` is the longest time that it took to go on after a disk had room again, `denied` how much an access list refused.
    `trouble` is why it was given up; empty if it was not. `lines` tell the rest.
    """

    lost: int = 0
    twice: int = 0
    kills: int = 0
    took_s: float = 0.0
    back_s: float = 0.0
    denied: int = 0
    trouble: str = ""
    cpu_s: dict[str, float] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


class _World:
    """The programs of a run, and the boards that it plays itself."""

    def __init__(self, options: Options, programs: Programs) -> None:
        folder = options.folder
        self.options = options
        names = HOSTS[: options.hosts]
        matrix = _lay_out(folder, names, ACCESS if options.access else "")
        self.spec = open_matrix(matrix).spec  # what is wrong with it is told here, and not by a host's log
        more = broker_lines(self.spec, folder) if options.access else ""
        self.brokers: Brokers = brokers(options.broker, folder / "brokers", persistent=options.persistent, more=more)
        url = f"mqtt://{','.join(url.removeprefix('mqtt://') for url in self.brokers.urls)}"
        by = address if options.access else _anonymous
        self.hosts = {name: _host(name, by(url, name), folder) for name in names}
        self.ear = ear(by(self.brokers.urls[-1], EAR), folder / "ear.log", (SINK_TOPIC, FEED_TOPIC, TOLD_TOPIC))
        self.deploy = _edgematrix("deploy", ["deploy", str(matrix), "--broker", by(url, DEPLOYER)], folder)
        for program in (*self.brokers.programs, self.ear, *self.hosts.values(), self.deploy):
            programs.add(program)
        victims = {**self.hosts, **{program.name: program for program in self.brokers.programs}}
        self.reaper = Reaper(draw(options.seed, options.messages, options.kills, list(victims)), victims)
        self.filler = Filler(draw_fillings(options.seed, options.messages, options.fillings, names), self.hosts)
        self.transport = PahoTransport(Endpoint.parse(by(url, WORLD)), Settings(client_id="chaos-harness", inflight_max=1_000))
        self.boards = Boards(self.transport, messages=options.messages, window_max=options.window_max, came=self._came)

    def _came(self, count: int) -> None:
        self.filler.progressed(count)
        self.reaper.progressed(count)

    @property
    def is_over(self) -> bool:
        return self.boards.is_complete and self.reaper.is_over and self.filler.is_over

    async def carry_out(self) -> None:
        """Start everything, and go on until all has come and nothing more comes."""
        for broker in self.brokers.programs:
            broker.start()
        for broker in self.brokers.programs:
            await broker.until_ready(_READY_S)
        self.ear.start()
        for host in self.hosts.values():
            host.start()
        await self._deploy()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.transport.run(self.boards)), group.create_task(self.reaper.run())]
            if self.options.tells:
                tasks.append(group.create_task(self._tell()))
            self.boards.begin()
            began_s = time.monotonic()
            while not (self.is_over and time.monotonic() - self.boards.last_at_s > _QUIET_S):  # it is over when nothing comes
                if time.monotonic() - max(began_s, self.boards.last_at_s) > self.options.patience_s:
                    raise ProgramError(f"nothing new has come for {self.options.patience_s:.0f} s")
                await asyncio.sleep(0.05)
            await self._until_nothing_is_left()
            for task in tasks:
                task.cancel()

    async def _until_nothing_is_left(self) -> None:
        """Who has lost the broker at last, or its answers, is given the time to hear them; what is left after it is told."""
        give_up_at_s = time.monotonic() + self.options.patience_s
        while time.monotonic() < give_up_at_s:
            if all(_left_over(self.options.folder / name) == "nothing" for name in self.hosts):
                return
            await asyncio.sleep(0.2)

    async def _deploy(self) -> None:
        """Give the chain to the hosts, as soon as all are there.

        Raises:
            ProgramError: they do not take it.
        """
        deploy = self.deploy
        give_up_at_s = time.monotonic() + _READY_S
        while True:
            deploy.start()
            if await deploy.until_ended(_READY_S) and deploy.exit_code == 0:
                return
            if time.monotonic() > give_up_at_s:
                raise ProgramError(f"the chain cannot be deployed\n{deploy.said()}")
            deploy.kill()

    async def end(self) -> None:
        """End the hosts as the system does, so that what they still have under way is in their stores."""
        for host in self.hosts.values():
            host.ask_to_end()
        for host in self.hosts.values():
            if not await host.until_ended(_END_S):
                print(f"{host.name} did not end within {_END_S} s", file=sys.stderr)
        self.ear.ask_to_end()
        await self.ear.until_ended(_END_S)

    async def _tell(self) -> None:
        began_s = time.monotonic()
        while True:
            await asyncio.sleep(_TELL_S)
            boards, now_s = self.boards, time.monotonic() - began_s
            said = f"{now_s:5.0f} s: {len(boards.taken)} of {boards.messages} at the sink, {boards.twice} twice"
            print(f"{said}, {len(self.reaper.done)} kills, {len(boards.dead)} dead letters", file=sys.stderr, flush=True)


def run(options: Options) -> Result:
    """Do it, and leave nothing running. Its folder is made anew.

    Raises:
        BrokerError: the broker is not installed.
        ConfigError: the matrix is wrong.
    """
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    return asyncio.run(_run(options))


async def _run(options: Options) -> Result:
    result = Result()
    with Programs() as programs:
        world = _World(options, programs)
        began_s = time.monotonic()
        try:
            await world.carry_out()
        except ProgramError as error:
            result.trouble = str(error)
        except ExceptionGroup as errors:
            ended, others = errors.split(ProgramError)
            if ended is None or others is not None:
                raise
            result.trouble = _told(ended)
        result.took_s = time.monotonic() - began_s
        result.cpu_s = {name: host.cpu_s for name, host in world.hosts.items()}
        await world.end()
        _report(world, result)
    return result


def _told(errors: ExceptionGroup[Exception]) -> str:
    return "; ".join(_told(error) if isinstance(error, ExceptionGroup) else str(error) for error in errors.exceptions)


def _report(world: _World, result: Result) -> None:
    boards, options = world.boards, world.options
    result.lost, result.twice, result.kills = boards.lost, boards.twice, len(world.reaper.done)
    result.back_s = max(world.filler.back_s, default=0.0)
    killed = Counter(kill.victim for kill in world.reaper.done)
    lines = result.lines
    lines.append(f"killed: {', '.join(f'{name} {count}' for name, count in sorted(killed.items())) or 'nobody'}")
    dropped = f"{boards.copies} copies and {boards.early} early ones dropped"
    lines.append(f"sink: {len(boards.taken)} of {boards.messages}, {boards.twice} twice; {dropped}")
    log = options.folder / "ear.log"
    raw = [f"{topic}: {heard(log, topic)}" for topic in (FEED_TOPIC, SINK_TOPIC, TOLD_TOPIC)]
    lines.append(f"raw subscriber: {'; '.join(raw)}")
    lines.append(f"left over: {'; '.join(f'{name}: {_left_over(options.folder / name)}' for name in world.hosts)}")
    if boards.dead:
        lines.append(f"{len(boards.dead)} dead letters, of which the first are:")
        lines += [f"  {letter}" for letter in boards.dead[:5]]
    if options.access:
        result.denied = sum((refused := denials(world.spec, world.brokers.programs[0].log)).values())
        lines.append(f"refused by the access list: {result.denied}")
        lines += [f"  {count} times: {what}" for what, count in refused.most_common(5)]
    if boards.lost:
        lines.append(f"missing: {boards.missing()}")
    rate = len(boards.taken) / max(boards.last_at_s - boards.first_at_s, 0.001)
    if options.fillings:
        lines.append(f"full disks: {world.filler.done}, it went on after at most {result.back_s:.1f} s")
    cost = {**{program.name: program.cpu_s for program in world.brokers.programs}, **result.cpu_s, "harness": time.process_time()}
    lines.append(f"CPU: {', '.join(f'{name} {cpu_s:.1f} s' for name, cpu_s in cost.items())}")
    lines.append(f"seed {options.seed}: {result.took_s:.1f} s, {rate:.0f} messages/s from the first to the last")


def _left_over(folder: Path) -> str:
    """What a host still has under way, by what it has stored."""
    path = folder / "chaos.sqlite"
    if not path.exists():
        return "no store"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as store:
            parts = [key.partition(PART_SEPARATOR) for (key,) in store.execute("SELECT key FROM part")]
    except sqlite3.Error as error:
        return str(error)
    owners = Counter(owner for owner, _, part in parts if owner in ("lane", "work") or (owner == "outbox" and "#" in part))
    return ", ".join(f"{count} in {owner}" for owner, count in sorted(owners.items())) or "nothing"


def _anonymous(url: str, user: str) -> str:
    del user
    return url


def _lay_out(folder: Path, names: tuple[str, ...], more: str) -> Path:
    """Put the matrix and its code in a folder; what has no host of its own goes to the ones that there are."""
    text = more + (HERE / "chain.yaml").read_text()
    for number, name in enumerate(HOSTS):
        text = text.replace(f"host: {name}\n", f"host: {names[number % len(names)]}\n")
        text = text.replace(f"host: {name},", f"host: {names[number % len(names)]},")
    matrix = folder / "chain.yaml"
    matrix.write_text(text)
    shutil.copy(HERE / "chain.py", folder / "chain.py")
    return matrix


def _host(name: str, url: str, folder: Path) -> Program:
    state = str(folder / name)
    arguments = ["host", "--name", name, "--matrix", "chaos", "--broker", url, "--code", str(folder), "--state", state]
    return _edgematrix(name, arguments, folder)


def _edgematrix(name: str, arguments: list[str], folder: Path) -> Program:
    return Program(name, [sys.executable, "-m", "edgematrix", *arguments], folder / f"{name}.log")
