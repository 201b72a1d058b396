"""One broker's process: started, watched, started again when it dies, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import time
from asyncio.subprocess import DEVNULL, Process
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgematrix.errors import BrokerError
from edgematrix.runtime.broker_program import BrokerProgram, launcher

__all__ = ["BrokerEvent", "BrokerNode", "answers"]

_POLL_S = 0.01
_MINUTE_S = 60.0
_LOG_LINES_SHOWN = 8
_LOG_BYTES_SHOWN = 4_096
_PAUSE_FIRST_S = 0.1
_PAUSE_LONGEST_S = 15.0
_DEATHS_KEPT = 64
_CRASHES = frozenset(-number for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL))
"""How a program ends by itself that trips over what it reads; whoever ends it from outside takes another signal."""
_LEADER = "metadata leader"
"""What a node of a NATS cluster writes once there is one."""
_CONNECT = bytes.fromhex("100c 0004 4d515454 04 02 000a 0000")
"""A CONNECT of MQTT 3.1.1: clean session, keepalive 10 s, no client id."""
_CONNACK = bytes.fromhex("2002")
_CONNACK_BYTES = 4


@dataclass(frozen=True, slots=True)
class BrokerEvent:
    """What happened to a broker, with what there is to say about it.

    `what` is `started`, `died`, `restarted`, `gave_up`, or `set_aside`: its database was damaged, and it began afresh.
    """

    what: str
    detail: str


class BrokerNode:
    """A broker's process on one port. What it writes goes to `log_path`.

    Args:
        name: how it is called in what is told.
        program: what it is.
        executable: where that is.
        directory: where it keeps its data, its configuration and its log; it exists.
        template: the file in `brokers/` that configures it.
        values: what is filled in there, apart from what `BrokerProgram.configure` knows.
        port: where it listens for MQTT; may be changed before it is started.
        address: the address of this machine that leads to it.
        start_timeout_s: how long it may take until it listens.
        stop_timeout_s: how long it may take to end; it is killed then, and what it has not written is lost.
        restarts_max: how many deaths within a minute are mended; None: it is started again for ever, at most 15 s later.
        observer: is told what happens.
        tls: what to look with whether it answers by TLS, and the name that it has there.
        leads: whether it is of a cluster, which answers once somebody leads it.
    """

    def __init__(  # noqa: PLR0913 - each is a thing of its own, given by name
        self,
        name: str,
        program: BrokerProgram,
        executable: str,
        directory: Path,
        *,
        template: str,
        values: Mapping[str, str],
        port: int,
        address: str = "127.0.0.1",
        start_timeout_s: float = 20.0,
        stop_timeout_s: float = 0.7,
        restarts_max: int | None = None,
        observer: Callable[[BrokerEvent], None] | None = None,
        tls: tuple[ssl.SSLContext, str] | None = None,
        leads: bool = False,
    ) -> None:
        self.name = name
        self.program = program
        self.port = port
        self.log_path = directory / f"{program.kind}.log"
        self._executable = executable
        self._directory = directory
        self._template = template
        self._values = values
        self._address = address
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._restarts_max = restarts_max
        self._observer = observer
        self._tls = tls
        self._leads = leads
        self._process: Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def place(self) -> str:
        """Its host and port."""
        return f"{self._address}:{self.port}"

    @property
    def scheme(self) -> str:
        """How its address begins."""
        return "mqtt" if self._tls is None else "mqtts"

    @property
    def pid(self) -> int | None:
        """Its process; None while there is none."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def start(self) -> bool:
        """Start it, and wait until it listens; False if the port is taken.

        A database that it cannot read is set aside, and it begins afresh.

        Raises:
            BrokerError: it died, or does not listen.
            OSError: its directory cannot be written, or it cannot be run.
        """
        try:
            return await self._start()
        except BrokerError:
            if not self._set_damaged_aside():
                raise
        return await self._start()

    async def until_it_answers(self, timeout_s: float) -> None:
        """Wait until an MQTT client is answered.

        Raises:
            BrokerError: it took longer, or it died.
        """
        give_up_at_s = time.monotonic() + timeout_s
        while not await self._answers(min(timeout_s, 10.0)):
            if self.pid is None:
                raise self._failure(f"{self.name} died while it was started")
            if time.monotonic() > give_up_at_s:
                raise self._failure(f"{self.name} did not answer on port {self.port} within {timeout_s:g} s")
            await asyncio.sleep(_POLL_S)

    def reread(self) -> None:
        """Let it read again who may come in, and its certificate."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGHUP)

    async def _answers(self, timeout_s: float) -> bool:
        if self._tls is None:
            return await answers(self._address, self.port, timeout_s)
        if self._leads and _LEADER not in self._log_tail():
            return False
        return await answers_tls(self._address, self.port, *self._tls, timeout_s)

    def watch(self) -> None:
        """From now on start it again when it dies."""
        self._watch = asyncio.create_task(self._keep(), name=f"broker {self.name}")

    async def stop(self) -> None:
        """Stop watching it, and end it."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._end()

    async def _start(self) -> bool:
        command = [self._executable, *self.program.arguments, str(self._configure())]
        if self.log_path.exists():
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        with self.log_path.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *launcher(command),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a terminal's Ctrl-C is for us
            )
        try:
            return await self._until_it_listens(self._process)
        except BaseException:
            await self._end()
            raise

    def _configure(self) -> Path:
        return self.program.configure(self._template, self._directory, {"port": str(self.port), **self._values})

    async def _until_it_listens(self, process: Process) -> bool:
        give_up_at_s = time.monotonic() + self._start_timeout_s
        while time.monotonic() < give_up_at_s:
            if process.returncode is not None:
                if self.program.in_use in self._log_tail():
                    return False
                raise self._failure(f"{self.name} ended with code {process.returncode} when it was started")
            # Another broker may answer on the port; only what our own says in its log tells that it has the port.
            if self.program.ready in self._log_tail():
                return True
            await asyncio.sleep(_POLL_S)
        raise self._failure(f"{self.name} did not listen on port {self.port} within {self._start_timeout_s:g} s")

    async def _keep(self) -> None:
        """Start it again whenever it dies, later each time while it dies often."""
        deaths: deque[float] = deque(maxlen=_DEATHS_KEPT)
        while True:
            assert self._process is not None  # noqa: S101 - started before
            code = await self._process.wait()
            self._say("died", f"{self.name} ended with code {code}; it said: {self._last_lines()}")
            while not await self._begin_again(deaths):
                if self._restarts_max is not None and len(deaths) > self._restarts_max:
                    self._say("gave_up", f"{self.name} died {len(deaths)} times within a minute; see {self.log_path}")
                    return
            self._say("restarted", f"{self.name} on {self.scheme}://{self.place}, process {self.pid}")

    async def _begin_again(self, deaths: deque[float]) -> bool:
        """After a death: wait, and try once. Whether it runs."""
        now_s = time.monotonic()
        deaths.append(now_s)
        while now_s - deaths[0] >= _MINUTE_S:
            deaths.popleft()
        if self._restarts_max is not None and len(deaths) > self._restarts_max:
            return False
        await asyncio.sleep(min(_PAUSE_LONGEST_S, _PAUSE_FIRST_S * 2.0 ** (len(deaths) - 1)))
        try:
            if await self.start():
                return True
            why = f"port {self.port} is taken"
        except (BrokerError, OSError) as error:
            why = str(error)
        self._say("died", f"{self.name} did not start again: {why}")
        return False

    def _set_damaged_aside(self) -> bool:
        """Whether its database was damaged, and is now out of its way. One that was set aside before is replaced."""
        program, process = self.program, self._process
        database = self._directory / program.database
        if not program.database or process is None or not os.access(database, os.R_OK):
            return False
        if program.damaged not in self._log_tail() and process.returncode not in _CRASHES:
            return False
        aside = database.with_name(f"{database.name}.damaged")
        database.replace(aside)
        self._say("set_aside", f"{self.name} cannot read its database, and begins without it; it is kept as {aside}")
        return True

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), self._stop_timeout_s)
            except TimeoutError:
                process.kill()
                await process.wait()

    def _say(self, what: str, detail: str) -> None:
        if self._observer is not None:
            self._observer(BrokerEvent(what, detail))

    def _failure(self, what: str) -> BrokerError:
        return BrokerError(f"{what}; its last words: {self._last_lines()}", where=str(self.log_path))

    def _log_tail(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _LOG_BYTES_SHOWN))
            return log.read().decode(errors="replace")

    def _last_lines(self) -> str:
        lines = self._log_tail().strip().splitlines()
        return " | ".join(lines[-_LOG_LINES_SHOWN:]) or "nothing"


async def answers(address: str, port: int, timeout_s: float) -> bool:
    """Whether an MQTT broker answers a connection there; one that wants a password answers too."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(_CONNECT)
                return (await reader.readexactly(_CONNACK_BYTES)).startswith(_CONNACK)
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False


async def answers_tls(address: str, port: int, context: ssl.SSLContext, name: str, timeout_s: float) -> bool:
    """Whether somebody with a certificate of `name` listens there. Only whoever has an identity is told more."""
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
            writer.transport.abort()
            return True
    except (OSError, TimeoutError):
        return False
