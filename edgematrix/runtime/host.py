"""A host: the process that runs agents. The one place that joins engine, transport, clock and store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from edgematrix.errors import QueueFullError
from edgematrix.hosting.leased import LeasedUnit
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock, Store, Transport, Verifier
from edgematrix.runtime.alarm import Alarm
from edgematrix.runtime.aside import Aside
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.courier import Courier
from edgematrix.runtime.dead_desk import DeadDesk
from edgematrix.runtime.failback_desk import FailbackDesk
from edgematrix.runtime.front_desk import FrontDesk
from edgematrix.runtime.keeper import PART_SEPARATOR, StateKeeper
from edgematrix.runtime.leases import Leases, Replan
from edgematrix.runtime.operations import Operations
from edgematrix.runtime.send_desk import SendDesk
from edgematrix.runtime.session import Session
from edgematrix.runtime.topology import Applied, Topology
from edgematrix.runtime.tracer import Tracer

if TYPE_CHECKING:
    from edgematrix.access.audit import Head
    from edgematrix.access.trust import Trust
    from edgematrix.runtime.audit_file import AuditFile
    from edgematrix.runtime.audit_gate import AuditGate
    from edgematrix.runtime.gate import Gate
    from edgematrix.runtime.sealed import SealedTransport

__all__ = ["Host"]

_log = logging.getLogger(__name__)

_CLOCK_S = 5.0
"""How often the wall clock is looked at; a step of it is noticed so late at most."""
_STEP_US = SECOND_US // 2
"""A smaller difference is what two clocks drift apart, or what it takes to read both."""


class Host:
    """Runs the agents of an engine on a bus until it is told to stop.

    Args:
        assembly: the agents, built and not yet started.
        session: an id of this process's life.
        store: where states outlive the process; None forgets.
        topology: what changes the agents while they run; None where nobody may.
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
        topology: Topology | None = None,
        changed: Callable[[str], None] = _log.info,
    ) -> None:
        engine = assembly.engine
        self.engine = engine
        engine.settled = self.acted
        self.assembly = assembly
        self._transport = transport
        self._clock = clock
        self._alarm = Alarm(clock, self._ring)
        self._keeper, self._courier = None, None
        self._acknowledged = 0
        if store is not None:
            self._keeper = StateKeeper(
                engine, store, committed=self._committed, receipt=lambda: transport.receipt, failing=self._store_failing
            )
            self._courier = Courier(engine, transport, clock, epoch=clock.wall_us() // 1_000, touched=self._keeper.hurry)
            engine.calling.delivers = True
        self._aside = Aside(self._took_long)
        self.front = FrontDesk(engine, name)
        self.audit: AuditGate | None = None
        """What logs the orders of operators; None where they are not logged."""
        self.operations = None
        if topology is not None:
            self.operations = Operations(
                assembly, topology, host=name, now_us=clock.now_us, front=self.front, aside=self._aside, changed=self._topology_changed
            )
        self._store = store
        self.gate: Gate | None = None
        """What lets signed messages in; None where none are signed."""
        self._sealed: SealedTransport | None = None
        self._stopped = asyncio.Event()
        self._clock_timer: asyncio.TimerHandle | None = None
        self.session = Session(
            engine,
            transport,
            clock,
            name=name,
            session=session,
            agents=assembly.agents,
            revision=lambda: 0 if topology is None else topology.revision,
            changed=changed,
        )
        self.session.courier = self._courier
        self.session.herald.heard_from_bus = lambda: engine.heard_by_agent(assembly.filters)
        self._changed = changed
        self._name = name
        self._leases: Leases | None = None
        is_linked = lambda: self.session.is_linked  # noqa: E731 - both are of this host
        self.tracer = Tracer(engine, assembly.groups, assembly.agents, clock, host=name, is_linked=is_linked, front=self.front)
        self.dead_desk = DeadDesk(engine, host=name, front=self.front)
        self._send_desk = SendDesk(engine, lambda: assembly.agents, self.front, self._has_room)

    def log_orders(self, log: AuditFile) -> None:
        """Write down what operators ask for, and what comes of it; before it runs."""
        from edgematrix.runtime.audit_gate import AuditGate  # noqa: PLC0415 - a host in a simulation logs nothing

        audit = AuditGate(log, self._clock, back=self._took_long, publish=self._tell_head, told=self._changed)
        self.audit = self.front.gate = audit
        self.front.now_us = self._clock.now_us
        self.session.greeted = lambda: self._tell_head(audit.head)

    def guard(self, transport: SealedTransport, verifier: Verifier) -> None:
        """Let signed messages in alone where they are to be signed; before it runs.

        Args:
            transport: the host's own, which signs.
            verifier: the keys of all who may sign.
        """
        from edgematrix.runtime.gate import Gate  # noqa: PLC0415 - few hosts have signed messages

        courier, session, keeper = self._courier, self.session, self._keeper
        self._sealed = transport
        self.gate = session.gate = Gate(
            self.engine,
            self._clock,
            verifier,
            transport.trust,
            handed=session.hand_in,
            is_kept=lambda topic: courier is not None and bool(courier.routes.here(topic)),
            hurry=None if keeper is None else keeper.hurry,
        )

    def trust(self, trust: Trust) -> None:
        """Go by another definition: other topics are signed, or others are believed."""
        if self.gate is not None and self._sealed is not None:
            self.gate.trust = self._sealed.trust = trust

    def lead(self, units: Iterable[LeasedUnit], replan: Replan) -> None:
        """Take part in who has these agents, which move to another host when theirs is gone.

        What is to run here must not be among what the host starts with: it comes when its lease is held.

        Args:
            units: all that the matrix has now.
            replan: builds what is to run here, in a thread.
        """
        assert self.operations is not None  # noqa: S101 - a host whose agents may move can be changed
        if self._leases is None:
            self._leases = self.session.leases = Leases(
                self.assembly,
                self._transport,
                self._clock,
                host=self._name,
                session=self.session.herald,
                changes=self.operations,
                deliveries=self._courier,
                told=self._changed,
            )
            self._leases.epochs = self.session.epochs
            self._transport.subscribe({FailbackDesk(self.engine, self._leases, self.front).filter: 1})
        self._leases.follow(units, replan)

    @property
    def holders(self) -> dict[AgentPath, str]:
        """Who is to have each of the agents that may move: this host, or the empty text for somebody else or nobody."""
        return {} if self._leases is None else self._leases.holders()

    async def run(self) -> None:
        """Run until `stop` is called.

        Raises:
            AccessRefusedError: the broker refuses this host.
        """
        if self.audit is not None:
            self.audit.open()
        self._start_groups()
        own = [self.tracer.filter, self.dead_desk.filter, self._send_desk.filter]
        own += [] if self.operations is None else self.operations.filters
        self._transport.subscribe(self.assembly.filters | dict.fromkeys(own, 1))
        self._look_at_clock()
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
        if self.engine.stopped:
            return
        self.session.catch_up()
        self._alarm.set(self.engine.deadline_us)
        keeper = self._keeper
        if keeper is None:
            self._acknowledge(self._transport.receipt)
        else:
            if not keeper.is_behind:
                self._acknowledge(self._transport.receipt)
            keeper.touched()

    def check_clock(self) -> None:
        """Look whether somebody has set the wall clock, and let calendars go by the new time.

        What waits for a duration is not concerned: the timeline follows the monotonic clock.
        """
        now_us = self._clock.now_us()
        skew_us = self._clock.wall_us() - now_us
        if abs(skew_us - self.engine.skew_us) > _STEP_US:
            _log.warning("the wall clock was set by %+.1f s", (skew_us - self.engine.skew_us) / SECOND_US)
            self.assembly.set_clock(skew_us, now_us)
            self.acted()

    def _topology_changed(self, applied: Applied) -> None:
        """Let the bus, and whoever follows the agents, know which there are now."""
        if applied.unsubscribe:
            self._transport.unsubscribe(applied.unsubscribe)
        if applied.subscribe:
            self._transport.subscribe(applied.subscribe)
        if self._keeper is not None:
            self._keeper.forget(applied.forgotten)
        self.session.follow(applied)
        self.tracer.follow(applied.agents, applied.removed)
        if self._leases is not None:
            self._leases.placed(applied)

    def _tell_head(self, head: Head) -> None:
        """Say how far the audit log has come, so that a cut-off end is found."""
        if head.n and self.session.is_linked:
            from edgematrix.runtime.audit_gate import head_publication  # noqa: PLC0415 - see `log_orders`

            with suppress(QueueFullError):  # the next one says more
                at = format_moment(self._clock.wall_us())
                self._transport.publish(head_publication(self.engine.root, self._name, head, at))

    def _has_room(self, topic: str) -> bool:
        """Whether work for an input can be taken, and kept where its agent is durable."""
        courier = self._courier
        return courier is None or not courier.routes.here(topic) or not courier.is_congested()

    def _took_long(self, over: Callable[[], None]) -> None:
        """Something is done that was done beside the event loop."""
        self.engine.advance(self._clock.now_us())
        over()
        self.engine.settle(self._clock.now_us())

    def _look_at_clock(self) -> None:
        self.check_clock()
        self.session.herald.look_for_endings()
        self._clock_timer = asyncio.get_running_loop().call_later(_CLOCK_S, self._look_at_clock)

    def _committed(self, receipt: int) -> None:
        """What was touched is stored: what came of it may leave, and where it came from may forget it."""
        if self._courier is not None:
            self._courier.committed()
        self._acknowledge(receipt)
        if not self._stopped.is_set():
            if self.gate is not None:
                self.gate.committed()
            self.session.catch_up()

    def _acknowledge(self, receipt: int) -> None:
        if self._courier is not None:
            receipt = self._courier.acknowledgeable(receipt)
        if receipt > self._acknowledged:
            self._acknowledged = receipt
            self._transport.acknowledge(receipt)

    def _store_failing(self, reason: str) -> None:
        if self._courier is not None:
            self._courier.is_stalled = bool(reason)
        if reason:
            self._changed(f"nothing can be stored, so no durable work is taken or acknowledged: {reason}")
        else:
            self._changed("storing works again")

    def _ring(self) -> None:
        self.engine.advance(self._clock.now_us())
        self.acted()

    def _start_groups(self) -> None:
        stored = {} if self._keeper is None else self._keeper.load()
        leases = self._leases
        if self.gate is not None:
            self._begin_epoch(stored)
            self.gate.load(stored.get(self.gate.store_key, {}), _say_damaged)
        if leases is not None:
            leases.load(stored)
        if self._courier is not None:
            self._courier.load(stored, self._clock.now_us(), _say_damaged)
        if leases is None:
            self.assembly.start(stored, self._clock.now_us(), _say_damaged)
        else:
            self.assembly.start(stored, self._clock.now_us(), _say_damaged, leases.may_come)

    def _begin_epoch(self, stored: Mapping[str, Mapping[str, bytes]]) -> None:
        """Count what is signed anew, in an epoch above all before; it is stored before the first of them leaves."""
        from edgematrix.runtime.sealed import Seal, epoch_after, read_epoch, write_epoch  # noqa: PLC0415 - see `guard`

        if self._sealed is not None and self._store is not None:
            before = read_epoch(stored.get(Seal.STORE_KEY, {}).get("", b""))
            self._sealed.seal.epoch = epoch = epoch_after(before, self._clock)
            self._store.save({f"{Seal.STORE_KEY}{PART_SEPARATOR}": write_epoch(epoch)}, is_safe=True)

    async def _close(self, link: asyncio.Task[None]) -> None:
        if self.audit is not None:
            await self.audit.close()
        if self._leases is not None:
            self._leases.close()
        self._alarm.set(None)
        self.tracer.close()
        self._aside.close()
        if self.operations is not None:
            self.operations.close()
        if self._clock_timer is not None:
            self._clock_timer.cancel()
        if self._keeper is not None:
            await self._keeper.close()  # before code is cancelled: it goes on at the next start, as after a kill
            self.engine.stopped = True
        if self.assembly.workshop is not None:
            await self.assembly.workshop.close()
        if self._courier is not None:
            self._courier.close()
        if not link.done():
            self.session.farewell()
        await self._transport.close()
        if not link.done():
            link.cancel()
            with suppress(asyncio.CancelledError):
                await link


def _say_damaged(key: str, error: Exception) -> None:
    _log.warning("the stored state of %s is set aside and it starts afresh: %s", key, error)
