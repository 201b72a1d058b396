"""One run of a matrix from the command line: host, broker, what plays along, and what is shown of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgematrix.cli.about import about
from edgematrix.cli.announcement import announced, refuse_second_run
from edgematrix.cli.face import Face, JsonLines, TextLines
from edgematrix.cli.logs import show_logs
from edgematrix.cli.run_file import without_password
from edgematrix.cli.stop import on_stop
from edgematrix.config.launch import Launch, Launched, launch
from edgematrix.config.opened import Opened
from edgematrix.config.spec import EMBEDDED_BROKERS
from edgematrix.errors import BusError, UsageError
from edgematrix.transport.endpoint import Endpoint

if TYPE_CHECKING:
    from edgematrix.cli.cast import Board
    from edgematrix.cli.companion import Companion

__all__ = ["Order", "Performance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for."""

    matrix: Path
    host: str
    state: Path
    broker: str | None = None
    recording: Path | None = None
    pace: float = 1.0
    """Seconds of the recording in one; infinity is as fast as it goes."""
    start_us: int | None = None
    """When the recording begins, since the epoch; None: now."""
    boards: Sequence[Board] = ()
    duration_s: float | None = None
    live: bool = False
    json: bool = False


class Performance:
    """Runs a matrix until it is told to stop. Made for one run."""

    def __init__(self, order: Order, opened: Opened) -> None:
        self._order = order
        self._opened = opened
        self._address = order.broker or opened.spec.broker
        self._launch_order = Launch(
            name=order.host,
            folder=order.state,
            url=order.broker,
            speed=order.pace if order.recording is not None and math.isfinite(order.pace) else 1.0,
            start_us=None if order.recording is None else order.start_us,
        )
        self._about = about(opened.spec, order.matrix, plays=self._launch_order.plays)
        self._stopped = asyncio.Event()
        self._main: asyncio.Task[object] | None = None
        self._runs = False
        self._unread = False
        self._companions: list[Companion] = []
        self._play: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._starts: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Run to the end.

        Raises:
            ConfigError: the matrix cannot be built.
            UsageError: the broker's address, or the folder, cannot be used, or standard output was closed.
            BusError: the embedded broker does not start, or the broker refuses this host.
        """
        self._main = asyncio.current_task()
        face = self._face(asyncio.get_running_loop())
        show_logs(face.note)
        with on_stop(self._stop):
            try:
                await self._launch(face)
            except asyncio.CancelledError:
                if not self._stopped.is_set():
                    raise
            finally:
                face.stop()
        if self._unread:
            raise BusError("standard output was closed; the run has ended")

    async def _launch(self, face: Face) -> None:
        order = self._order
        refuse_second_run(order.state)
        how = replace(self._launch_order, changed=lambda text: self._linked(text, face))
        async with launch(self._opened, how) as launched:
            is_ours = self._address in EMBEDDED_BROKERS
            shown = without_password(launched.url if is_ours else self._address)
            self._about.broker = shown + (f" ({launched.broker}, started here)" if is_ours else "")
            launched.host.engine.observers.append(face.observe)
            spec = self._opened.spec  # what is left of it
            with announced(order.state, url=shown, matrix=order.matrix, name=spec.matrix, root=spec.root, host=order.host):
                self._introduce(face, launched)
                face.start()
                await self._perform(launched, face, launched.address)

    async def _perform(self, launched: Launched, face: Face, url: str) -> None:
        self._play = partial(self._start_companions, face, url)
        host = asyncio.create_task(launched.host.run(), name="host")
        asked = asyncio.create_task(self._stopped.wait(), name="asked to stop")
        self._runs = True
        try:
            await asyncio.wait({host, asked}, timeout=self._order.duration_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            by_itself = host.done()
            asked.cancel()
            launched.host.stop()
            await asyncio.gather(self._stop_companions(), asyncio.wait({host}))
        host.result()
        if by_itself:
            raise BusError("the connection has ended", where=launched.url)

    # What comes from outside

    def _stop(self) -> None:
        """End in order; when asked again, or before anything runs, at once."""
        again = self._stopped.is_set()
        self._stopped.set()
        if self._main is not None and (again or not self._runs):
            self._main.cancel()

    def _linked(self, text: str, face: Face) -> None:
        if text.startswith("disconnected"):
            text += "; trying again"
        self._about.link = text
        face.linked(text)
        if self._about.is_linked and self._starts is None and self._play is not None:
            self._starts = asyncio.create_task(self._play(), name="companions")

    def _nobody_reads(self) -> None:
        self._unread = True
        self._stop()

    # What plays along

    async def _start_companions(self, face: Face, url: str) -> None:
        order = self._order
        for board in order.boards:
            try:
                words, own_environment = board.words(Endpoint.parse(url))
            except UsageError as error:
                face.note(f"{board.name} is left out: {error}")
                continue
            await self._accompany(face, board.name, f"{board.name}: {board.program} on MicroPython", words, own_environment)
        if order.recording is not None:
            from edgematrix.cli.cast import player_words  # noqa: PLC0415 - most runs play nothing

            hurries = math.isinf(order.pace)
            words, environment = player_words(order.recording, url, "max" if hurries else f"{order.pace:g}")
            pace = "as fast as it goes" if hurries else f"{order.pace:g} times as fast"
            await self._accompany(face, order.recording.name, f"{order.recording.name}, {pace}", words, environment)

    async def _accompany(self, face: Face, name: str, shown: str, words: Sequence[str], environment: Mapping[str, str] | None) -> None:
        from edgematrix.cli.companion import Companion  # noqa: PLC0415 - 5 ms that a host by itself does not need

        place = len(self._about.companions)

        def ended(code: int) -> None:
            self._about.companions[place] = f"{shown}: {'played to its end' if code == 0 else f'ended with code {code}'}"
            if code != 0:
                face.note(f"{name} ended with code {code}")

        companion = Companion(name, words, environment, said=lambda line: face.note(f"{name}: {line}"), ended=ended)
        self._about.companions.append(shown)
        self._companions.append(companion)
        try:
            await companion.start()
        except OSError as error:
            face.note(f"{name} does not start: {error.strerror}")

    async def _stop_companions(self) -> None:
        if self._starts is not None:
            await asyncio.wait({self._starts})
        if self._companions:
            from edgematrix.cli.companion import stop_all  # noqa: PLC0415 - it is there already

            await stop_all(self._companions)

    # What is shown

    def _introduce(self, face: Face, launched: Launched) -> None:
        """Say what runs; a live view has it in its heading."""
        if not self._order.live:
            count = len(launched.assembly.agents)
            face.note(f"{self._order.matrix}: {count} agents, host {self._order.host}")
            face.note(f"broker: {self._about.broker}")

    def _face(self, loop: asyncio.AbstractEventLoop) -> Face:
        def gone() -> None:
            loop.call_soon_threadsafe(self._nobody_reads)

        now_us = self._launch_order.clock().wall_us  # the host's own is as near as it takes to start it
        if self._order.json:
            return JsonLines(gone, now_us)
        if not self._order.live:
            return TextLines(gone, now_us, self._about.zone)
        from edgematrix.cli.live import LiveView  # noqa: PLC0415 - rich costs more than a host needs to start
        from edgematrix.cli.tally import Tally  # noqa: PLC0415

        boards = [board.path for board in self._order.boards]
        return LiveView(Tally(self._opened.spec, boards), self._about, gone, now_us)
