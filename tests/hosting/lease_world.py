"""A broker, links and hosts around leases, in virtual time: what can go wrong, goes wrong when a test says so.

The broker has one total order. A link delivers in order, each message after a delay; while it is stalled nothing arrives, and what
waits arrives when it goes on. When a connection breaks, what is still on its way from the host is lost, or arrives first (the
broker reads what it has before it sees the end); what is on its way to the host is lost. Clocks of hosts run up to 1 % wrong.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from edgematrix.hosting.effect import Activate, Effect, Publish, Sever, Suspend
from edgematrix.hosting.lease import Lease
from edgematrix.hosting.tenure import Tenure

MS = 1_000
S = 1_000_000
KEEPALIVE_US = 22 * S
"""After which the broker gives up a stalled connection (1.5 times a keep alive of 15 s)."""
_RECONNECT_US = 300 * MS


@dataclass
class Connection:
    """One connection of a host: each way has messages on their way, in order."""

    host: Host
    number: int
    is_open: bool = True
    """As the broker sees it."""
    up_due_us: int = 0
    down_due_us: int = 0
    subscribed: bool = False
    up: list[Callable[[], None]] = field(default_factory=list)
    """What has not arrived at the broker."""
    heard_at_us: int = 0


class World:
    """Everything but the hosts' own rules."""

    def __init__(self, order: tuple[str, ...], *, returns: bool, drifts: dict[str, float], delays: Callable[[], int]) -> None:
        self.now_us = 1_700_000_000 * S
        self.order = order
        self.returns = returns
        self.delays = delays
        self.retained: Lease | None = None
        self.births: dict[str, tuple[str, bool]] = {}
        self.broker_up = True
        self.connections: list[Connection] = []
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._number = count()
        self.hosts = {name: Host(self, name, drifts.get(name, 0.0)) for name in order}
        self.published = 0

    # Time

    def at(self, when_us: int, do: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(when_us, self.now_us), next(self._number), do))

    def run(self, for_us: int) -> None:
        until_us = self.now_us + for_us
        while self._events and self._events[0][0] <= until_us:
            self.now_us, _, do = heapq.heappop(self._events)
            do()
            self.check()
        self.now_us = until_us

    def run_until(self, holds: Callable[[], bool], within_us: int) -> int:
        """Run until something holds: how long it took."""
        began_us = self.now_us
        while not holds():
            assert self._events, "nothing happens any more"
            assert self._events[0][0] <= began_us + within_us, f"not within {within_us / S} s"
            self.now_us, _, do = heapq.heappop(self._events)
            do()
            self.check()
        return self.now_us - began_us

    def active(self) -> list[str]:
        """Who may have effects now; whoever is paused has none, and looks first when it wakes."""
        return [host.name for host in self.hosts.values() if host.may_act]

    def check(self) -> None:
        active = self.active()
        assert len(active) <= 1, f"{active} at {self.now_us}"

    # The broker

    def connect(self, host: Host) -> None:
        for connection in self.connections:
            if connection.host is host and connection.is_open:
                self.close(connection, reads_rest=False)  # taken over
        connection = Connection(host, next(self._number), heard_at_us=self.now_us)
        self.connections.append(connection)
        host.connection = connection
        self.send(connection, lambda: self._subscribe(connection))
        self.send(connection, lambda: self._birth(host.name, host.session, online=True))
        self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        if connection.is_open:
            if self.now_us - connection.heard_at_us >= KEEPALIVE_US:
                self.close(connection, reads_rest=False)
            else:
                self.at(self.now_us + S, lambda: self._watch(connection))

    def send(self, connection: Connection, do: Callable[[], None]) -> None:
        """From a host to the broker."""
        connection.up.append(do)
        self._carry_up(connection)

    def _carry_up(self, connection: Connection) -> None:
        if connection.host.up_stalled:
            return
        connection.up_due_us = max(connection.up_due_us, self.now_us + self.delays())

        def arrive() -> None:
            if connection.is_open and connection.up and not connection.host.up_stalled:
                connection.heard_at_us = self.now_us
                connection.up.pop(0)()

        self.at(connection.up_due_us, arrive)

    def deliver(self, connection: Connection, do: Callable[[Host], None]) -> None:
        """From the broker to a host."""
        host = connection.host

        def arrive() -> None:
            if host.connection is not connection or not connection.is_open:
                return
            if host.down_stalled or host.paused:
                host.waiting.append((connection, do))
            else:
                do(host)

        connection.down_due_us = max(connection.down_due_us, self.now_us + self.delays())
        self.at(connection.down_due_us, arrive)

    def _subscribe(self, connection: Connection) -> None:
        connection.subscribed = True
        if self.retained is not None:
            lease = self.retained
            self.deliver(connection, lambda host: host.heard(lease, retained=True))
        for name, (session, online) in self.births.items():
            self.deliver(connection, lambda host, name=name, session=session, online=online: host.host_seen(name, session, online, True))

    def publish(self, lease: Lease) -> None:
        self.published += 1
        self.retained = lease
        for connection in self._subscribers():
            self.deliver(connection, lambda host: host.heard(lease))

    def _birth(self, name: str, session: str, *, online: bool) -> None:
        self.births[name] = (session, online)
        for connection in self._subscribers():
            self.deliver(connection, lambda host: host.host_seen(name, session, online, False))

    def _subscribers(self) -> list[Connection]:
        return [connection for connection in self.connections if connection.is_open and connection.subscribed]

    def close(self, connection: Connection, *, reads_rest: bool, will: bool = True) -> None:
        """A connection ends: the broker says the host's will."""
        if not connection.is_open:
            return
        if reads_rest:
            while connection.up:
                connection.up.pop(0)()
        connection.is_open = False
        connection.up.clear()
        self.connections.remove(connection)
        host = connection.host
        if will:
            self._birth(host.name, connection_session(connection), online=False)
        if host.connection is connection:
            self.at(self.now_us + self.delays(), lambda: host.lost(connection))

    def restart_broker(self, down_us: int) -> None:
        """Everything that it retained is gone."""
        self.broker_up = False
        for connection in list(self.connections):
            self.close(connection, reads_rest=False, will=False)
        self.retained = None
        self.births = {}

        def start() -> None:
            self.broker_up = True

        self.at(self.now_us + down_us, start)


def connection_session(connection: Connection) -> str:
    return connection.session  # type: ignore[attr-defined]


class Host:
    """One host: a clock, a link and a tenure."""

    def __init__(self, world: World, name: str, drift: float) -> None:
        self.world = world
        self.name = name
        self.drift = drift
        self.lives = 0
        self.session = ""
        self.tenure: Tenure | None = None
        self.connection: Connection | None = None
        self.up_stalled = False
        self.down_stalled = False
        self.paused = False
        self.acts = False
        """Whether it was told to activate and not yet to suspend."""
        self.waiting: list[tuple[Connection, Callable[[Host], None]]] = []
        self._asleep: list[Callable[[], None]] = []
        self._wake: object = None
        self.suspended: list[str] = []

    def clock_us(self) -> int:
        return int(self.world.now_us * (1 + self.drift)) if self.drift else self.world.now_us

    @property
    def may_act(self) -> bool:
        tenure = self.tenure
        return not self.paused and tenure is not None and self.acts and tenure.is_held(self.clock_us())

    # Life

    def start(self) -> None:
        self.lives += 1
        self.session = f"{self.name}{self.lives}"
        self.tenure = Tenure(self.name, self.session, self.world.order, returns=self.world.returns)
        self.acts = False
        self._connect()

    def kill(self, *, reads_rest: bool) -> None:
        self.tenure = None
        self.acts = False
        self.paused = False
        self._asleep.clear()
        self.waiting.clear()
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.killed = True  # type: ignore[attr-defined]
            if not self.up_stalled:
                self.world.close(connection, reads_rest=reads_rest)

    def stop(self) -> None:
        if self.tenure is not None and not self.paused:
            self._do(self.tenure.stop(self.clock_us()))
            self.kill(reads_rest=True)

    def pause(self) -> None:
        self.paused = self.tenure is not None

    def wake(self) -> None:
        if not self.paused:
            return
        self.paused = False
        asleep, self._asleep = self._asleep, []
        for do in asleep:
            do()
        self._resume()

    def cut(self, *, reads_rest: bool) -> None:
        if self.connection is not None and not self.up_stalled:
            self.world.close(self.connection, reads_rest=reads_rest)

    def stall(self, *, up: bool, down: bool) -> None:
        self.up_stalled, self.down_stalled = up, down
        if not up:
            for connection in self.world.connections:
                if connection.host is self:
                    for _ in connection.up:
                        self.world._carry_up(connection)
                    if getattr(connection, "killed", False):
                        self.world.at(
                            self.world.now_us + 200 * MS, lambda connection=connection: self.world.close(connection, reads_rest=True)
                        )
        if not down:
            self._resume()

    def _resume(self) -> None:
        if self.down_stalled or self.paused:
            return
        waiting, self.waiting = self.waiting, []
        for connection, do in waiting:
            if self.connection is connection and connection.is_open:
                do(self)

    # Link

    def _connect(self) -> None:
        tenure = self.tenure
        if tenure is None or self.connection is not None:
            return
        if not self.world.broker_up or self.up_stalled or self.down_stalled or self.paused:
            self.world.at(self.world.now_us + _RECONNECT_US, self._connect)
            return
        self.world.connect(self)
        assert self.connection is not None
        self.connection.session = self.session  # type: ignore[attr-defined]
        self._do(tenure.linked(self.clock_us()))

    def lost(self, connection: Connection) -> None:
        if self.connection is not connection:
            return
        if self.paused:
            self._asleep.append(lambda: self.lost(connection))
            return
        self.connection = None
        self.waiting.clear()
        if self.tenure is not None:
            self._do(self.tenure.unlinked(self.clock_us()))
            self.world.at(self.world.now_us + _RECONNECT_US, self._connect)

    def heard(self, lease: Lease, *, retained: bool = False) -> None:
        if self.tenure is not None:
            self._do(self.tenure.heard(lease, self.clock_us(), retained=retained))

    def host_seen(self, name: str, session: str, online: bool, retained: bool) -> None:
        if self.tenure is None:
            return
        self._do(self.tenure.host_seen(name, session, self.clock_us(), online=online))
        if name == self.name and session == self.session and online and not retained:
            self._do(self.tenure.watching(self.clock_us()))

    # Effects

    def _do(self, effects: list[Effect]) -> None:
        tenure = self.tenure
        assert tenure is not None
        for effect in effects:
            if isinstance(effect, Publish):
                connection = self.connection
                if connection is not None:
                    lease = effect.lease
                    self.world.send(connection, lambda lease=lease: self.world.publish(lease))
            elif isinstance(effect, Activate):
                self.acts = True
            elif isinstance(effect, Suspend):
                self.acts = False
                self.suspended.append(effect.reason)
            elif isinstance(effect, Sever):
                connection, self.connection = self.connection, None
                self.waiting.clear()
                if connection is not None:
                    connection.up.clear()  # a reset takes back what has not arrived
                    connection.killed = True  # type: ignore[attr-defined]
                    if not self.up_stalled:
                        self.world.close(connection, reads_rest=False)
                    self._do(tenure.unlinked(self.clock_us()))
                    self.world.at(self.world.now_us + _RECONNECT_US, self._connect)
        self._set_alarm()

    def _set_alarm(self) -> None:
        tenure = self.tenure
        due_us = None if tenure is None else tenure.deadline_us
        if due_us is None:
            return
        real_us = self.world.now_us + max(0, int((due_us - self.clock_us()) / (1 + self.drift))) + 1
        token = self._wake = object()

        def ring() -> None:
            if self._wake is not token or self.tenure is not tenure or tenure is None:
                return
            if self.paused:
                self._asleep.append(ring)
                return
            self._do(tenure.tick(self.clock_us()))

        self.world.at(real_us, ring)
