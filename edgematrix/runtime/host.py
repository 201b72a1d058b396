"""A host: the process that runs agents. The one place that joins engine, transport, clock and store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from edgematrix.protocol.ports import Clock, Store, Transport
from edgematrix.runtime.alarm import Alarm
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.keeper import StateKeeper
from edgematrix.runtime.session import Session

__all__ = ["Host"]

_log = logging.getLogger(__name__)


class Host:
    """Runs the agents of an engine on a bus until it is told to stop.

    Args:
        assembly: the agents, built and not yet started.
        session: an id of this process's life.
        store: where states outlive the process; None forgets.
        changed: called with a sentence when the connection comes or goes.
    """

    def __init__(
        self,
        assembly: Assembly,
        transport: Transport,
        clock: Clock,
        *,
        name: str,
        session: str,
        store: Store | None = None,
        changed: Callable[[str], None] = _log.info,
    ) -> None:
        engine = assembly.engine
        self.engine = engine
        engine.settled = self.acted
        self._assembly = assembly
        self._transport = transport
        self._clock = clock
        self._alarm = Alarm(clock, self._ring)
        self._keeper = None if store is None else StateKeeper(engine, store)
        self._stopped = asyncio.Event()
        self.session = Session(
            engine, transport, clock, name=name, session=session, agents=assembly.agents, acted=self.acted, changed=changed
        )

    async def run(self) -> None:
        """Run until `stop` is called.

        Raises:
            AccessRefusedError: the broker refuses this host.
        """
        self._start_groups()
        self._transport.subscribe(self._assembly.filters)
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
        stored = {} if self._keeper is None else self._keeper.load()
        self._assembly.start(stored, self._clock.now_us(), _say_damaged)

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


def _say_damaged(key: str, error: Exception) -> None:
    _log.warning("the stored state of %s is set aside and it starts afresh: %s", key, error)
