"""A host: the process that runs agents. The one place that joins engine, transport, clock and store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from edgematrix.errors import StateError
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock, Store, Transport
from edgematrix.runtime.alarm import Alarm
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.group_runner import GroupRunner
from edgematrix.runtime.keeper import StateKeeper
from edgematrix.runtime.session import Session

__all__ = ["Host"]

_log = logging.getLogger(__name__)


class Host:
    """Runs the agents of an engine on a bus until it is told to stop.

    Args:
        engine: the agents, built and not yet started.
        groups: its trigger groups, in written order.
        filters: the foreign and remote topics to subscribe, each with its QoS.
        agents: the paths that live here.
        session: an id of this process's life.
        store: where states outlive the process; None forgets.
        changed: called with a sentence when the connection comes or goes.
    """

    def __init__(
        self,
        engine: Engine,
        transport: Transport,
        clock: Clock,
        *,
        name: str,
        session: str,
        groups: Sequence[GroupRunner],
        filters: dict[str, int],
        agents: Sequence[AgentPath],
        store: Store | None = None,
        changed: Callable[[str], None] = _log.info,
    ) -> None:
        self.engine = engine
        self._transport = transport
        self._clock = clock
        self._groups = groups
        self._filters = filters
        self._alarm = Alarm(clock, self._ring)
        self._keeper = None if store is None else StateKeeper(engine, store)
        self._stopped = asyncio.Event()
        self.session = Session(
            engine, transport, clock, name=name, session=session, agents=agents, acted=self.acted, changed=changed
        )

    async def run(self) -> None:
        """Run until `stop` is called.

        Raises:
            AccessRefusedError: the broker refuses this host.
        """
        self._start_groups()
        self._transport.subscribe(self._filters)
        self.acted()
        link = asyncio.create_task(self._transport.run(self.session), name="transport")
        stopped = asyncio.create_task(self._stopped.wait(), name="stop")
        try:
            await asyncio.wait({link, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            await self._close(link)
        await link

    def stop(self) -> None:
        """End `run`; may be called more than once."""
        self._stopped.set()

    def acted(self) -> None:
        """Take up what the engine has to say after something happened."""
        self.session.flush()
        self._alarm.set(self.engine.deadline_us)
        if self._keeper is not None:
            self._keeper.touched()

    def _ring(self) -> None:
        self.engine.advance(self._clock.now_us())
        self.acted()

    def _start_groups(self) -> None:
        now_us = self._clock.now_us()
        stored = {} if self._keeper is None else self._keeper.load()
        for runner in self._groups:
            parts = stored.get(runner.store_key)
            if parts is None:
                runner.start(now_us)
                continue
            try:
                runner.resume(parts, now_us)
            except StateError as error:
                _log.warning("the stored state of %s is set aside and it starts afresh: %s", runner.store_key, error)
                runner.start(now_us)
        self.engine.advance(now_us)

    async def _close(self, link: asyncio.Task[None]) -> None:
        self._alarm.set(None)
        if self._keeper is not None:
            await self._keeper.close()
        self.session.farewell()
        await self._transport.close()
        if not link.done():
            link.cancel()
            with suppress(asyncio.CancelledError):
                await link
