"""A broker that a host starts for itself, watches, and takes down with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from edgematrix.errors import BrokerError
from edgematrix.runtime.broker_program import BrokerProgram, choose, launcher

__all__ = ["BrokerEvent", "EmbeddedBroker"]

_PORTS_TRIED_MAX = 100
_PORT_MAX = 65_535
_POLL_S = 0.01
_TERMINATE_S = 0.7
_LOG_LINES_SHOWN = 8
_LOG_BYTES_SHOWN = 4_096
_CONNECT = bytes.fromhex("100c 0004 4d515454 04 02 000a 0000")
"""A CONNECT of MQTT 3.1.1: clean session, keepalive 10 s, no client id."""
_CONNACK = bytes.fromhex("2002 0000")


@dataclass(frozen=True, slots=True)
class BrokerEvent:
    """What happened to the broker: `started`, `died`, `restarted` or `gave_up`, with what there is to say about it."""

    what: str
    detail: str


class EmbeddedBroker:
    """An MQTT broker on loopback: mosquitto if it is there, else nats-server. Used as `async with EmbeddedBroker(path) as broker`.

    It takes `port` or the next free one. If it dies it is started again on the same port, at most `restarts_max` times within
    a minute. What it writes goes to `log_path`.

    Args:
        directory: where it keeps its data, its configuration and its log; made if it is missing.
        port: the first port that is tried.
        kind: `mosquitto` or `nats`; None takes what is installed.
        start_timeout_s: how long it may take until it answers.
        restarts_max: how many deaths within a minute are mended.
        observer: is told what happens after the start.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 1883,
        kind: str | None = None,
        start_timeout_s: float = 5.0,
        restarts_max: int = 5,
        observer: Callable[[BrokerEvent], None] | None = None,
    ) -> None:
        self._directory = directory
        self._port = port
        self._wanted = kind
        self._start_timeout_s = start_timeout_s
        self._restarts_max = restarts_max
        self._observer = observer
        self._program: BrokerProgram | None = None
        self._executable = ""
        self._process: Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"mqtt://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def kind(self) -> str:
        """`mosquitto` or `nats`; empty before the start."""
        return "" if self._program is None else self._program.kind

    @property
    def pid(self) -> int | None:
        """The broker's process; None while there is none."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    @property
    def log_path(self) -> Path:
        """Where its log is."""
        return self._directory / f"{self.kind or 'broker'}.log"

    async def __aenter__(self) -> Self:
        """Start it, and wait until it takes MQTT connections.

        Raises:
            BrokerError: no broker is installed, it did not start, no port is free, or the directory cannot be written.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._program, self._executable = choose(self._wanted)
            await self._start_on_free_port()
        except OSError as error:
            raise BrokerError(f"the broker cannot be started: {error}", where=str(self._directory)) from error
        self._watch = asyncio.create_task(self._keep(), name="embedded broker")
        self._say("started", f"{self.kind} on {self.url}, process {self.pid}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop it within a second."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._stop()

    async def _start_on_free_port(self) -> None:
        first = self._port
        for port in range(first, min(first + _PORTS_TRIED_MAX, _PORT_MAX + 1)):
            self._port = port
            if await self._start():
                return
        raise BrokerError(
            f"no port is free from {first} to {self._port}",
            remedy="stop what listens there, or name another port",
            where=str(self._directory),
        )

    async def _start(self) -> bool:
        """Start it on the port; False if the port is taken.

        Raises:
            BrokerError: it died, or does not answer.
        """
        program = self._program
        assert program is not None  # noqa: S101 - chosen before
        command = program.command(self._executable, self._directory, self._port)
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
            return await self._wait_until_it_answers(program)
        except BaseException:
            await self._stop()
            raise

    async def _wait_until_it_answers(self, program: BrokerProgram) -> bool:
        process = self._process
        assert process is not None  # noqa: S101 - started before
        give_up_at_s = time.monotonic() + self._start_timeout_s
        while time.monotonic() < give_up_at_s:
            if process.returncode is not None:
                if program.in_use in self._log_tail():
                    return False
                raise self._failure(f"{program.kind} ended with code {process.returncode} when it was started")
            # Another broker may answer on the port; only what our own says in its log tells that it has the port.
            if program.ready in self._log_tail() and await _answers(self._port):
                return True
            await asyncio.sleep(_POLL_S)
        raise self._failure(f"{program.kind} did not answer on port {self._port} within {self._start_timeout_s} s")

    async def _keep(self) -> None:
        """Start it again when it dies, as long as it does not die too often."""
        deaths: list[float] = []
        while True:
            assert self._process is not None  # noqa: S101 - started before
            code = await self._process.wait()
            now_s = time.monotonic()
            deaths = [at_s for at_s in deaths if now_s - at_s < 60] + [now_s]  # noqa: PLR2004 - a minute
            self._say("died", f"{self.kind} ended with code {code}; it said: {self._last_lines()}")
            while True:
                if len(deaths) > self._restarts_max:
                    self._say("gave_up", f"{self.kind} died {len(deaths)} times within a minute; see {self.log_path}")
                    return
                await asyncio.sleep(0.1 * 2 ** (len(deaths) - 1))
                try:
                    started = await self._start()
                    why = "" if started else f"port {self._port} is taken"
                except (BrokerError, OSError) as error:
                    started, why = False, str(error)
                if started:
                    break
                deaths.append(time.monotonic())
                self._say("died", f"{self.kind} did not start again: {why}")
            self._say("restarted", f"{self.kind} on {self.url}, process {self.pid}")

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _TERMINATE_S)
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


async def _answers(port: int) -> bool:
    """Whether an MQTT broker takes a connection there."""
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(_CONNECT)
                return await reader.readexactly(len(_CONNACK)) == _CONNACK
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
