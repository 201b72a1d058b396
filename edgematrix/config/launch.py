"""Puts a matrix on its broker: engine, store, transport and, where it asks for one, an embedded broker."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgematrix.config.build import build
from edgematrix.config.live import LiveTopology
from edgematrix.config.live_record import LiveRecord, restore, restore_paused
from edgematrix.config.on_demand import LazyVoices, OnDemand, choosers_of, scorers_of, thinkers_of, workshop_maker
from edgematrix.config.opened import Opened
from edgematrix.config.places import EVERYTHING_HERE, Places
from edgematrix.config.spec import EMBEDDED_BROKERS, MatrixSpec
from edgematrix.config.surroundings import Surroundings
from edgematrix.config.unsigned import keys_folder, refuse_signed
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.path import check_name
from edgematrix.protocol.ports import Clock, Transport
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.assembly import Assembly
from edgematrix.runtime.audit_file import AuditFile
from edgematrix.runtime.clock import PlayClock, SystemClock
from edgematrix.runtime.engine import COMMAND_EXPIRY_US
from edgematrix.runtime.herald import offline_will
from edgematrix.runtime.host import Host
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.keeper import PART_SEPARATOR
from edgematrix.runtime.own_name import OwnName
from edgematrix.runtime.sqlite_store import SqliteStore
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

if TYPE_CHECKING:
    from edgematrix.config.signing import Signing
    from edgematrix.identity.secrets import SecretStore
    from edgematrix.runtime.birth import Announcer
    from edgematrix.runtime.broker import BrokerEvent
    from edgematrix.runtime.endings import Endings

__all__ = [
    "STATE_FOLDER",
    "Launch",
    "Launched",
    "address_of",
    "client_id",
    "endings_of",
    "launch",
    "local_name",
    "run_here",
    "secrets_beside",
]

_log = logging.getLogger(__name__)

STATE_FOLDER = ".edgematrix"
"""Where a project keeps states, an embedded broker's data and what tells other commands about a running host."""

_SESSION_EXPIRY_S = 86_400
"""How long a broker keeps QoS 1 messages for a durable host that is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a matrix is to be run here.

    `name` is the host's; `folder` is where states and an embedded broker's data go; `url` overrides the broker that the matrix
    names; `changed` is called with a sentence when the connection comes or goes.

    `places` tells which agents this host is to run, `announcer` what it says of itself, where it follows deployments; `revision` is
    that of the deployment. `speed` and `start_us` are for a recording that is played: time begins
    there, and runs so fast. Such a run begins with fresh states and leaves none behind. `secrets` gives the folder of secrets; None
    for what the environment names, else that beside the matrix.
    """

    name: str
    folder: Path
    url: str | None = None
    changed: Callable[[str], None] = _log.info
    places: Places = EVERYTHING_HERE
    announcer: Announcer | None = None
    revision: int = 0
    speed: float = 1.0
    start_us: int | None = None
    secrets: Callable[[], SecretStore] | None = None
    keys: Path | None = None
    """The folder of the keys with which messages are signed; None for that of the broker's address, if it stands in a file."""

    @property
    def plays(self) -> bool:
        """Whether time is that of a recording."""
        return self.speed != 1.0 or self.start_us is not None

    def clock(self) -> Clock:
        """The time that the host goes by."""
        real = SystemClock()
        if not self.plays:
            return real
        return PlayClock(self.speed, real.wall_us() if self.start_us is None else self.start_us)


@dataclass(frozen=True, slots=True)
class Launched:
    """A host that is ready to run. `url` holds no password; `broker` says in a word what is there.

    `address` is where the broker is, with all that it takes to connect: it is not shown.
    """

    host: Host
    assembly: Assembly
    transport: PahoTransport
    topology: LiveTopology
    url: str
    broker: str
    address: str = field(repr=False)


@asynccontextmanager
async def launch(opened: Opened, how: Launch) -> AsyncIterator[Launched]:
    """Build the host of a matrix, with its broker running; broker, store and models are closed with the context.

    The matrix's definition is handed over, so that none of it is kept while the host runs.

    Raises:
        ConfigError: the matrix cannot be built.
        BusError: an embedded broker does not start.
        UsageError: the broker's address is wrong, or the matrix was launched before.
        SecretError: a secret that is used here cannot be read.
        StateError: the states cannot be read.
    """
    clock, new_id = how.clock(), id_maker()
    async with AsyncExitStack() as stack:
        secrets = OnDemand(how.secrets or partial(secrets_beside, opened.loader.folder), stack)
        around = _surroundings(opened, how, clock, new_id, secrets, stack)
        store = None if how.plays else SqliteStore(how.folder / f"{opened.spec.matrix}.sqlite")
        if store is not None:
            stack.callback(store.close)
        topology = _topology(opened, around, store, how)
        assembly, spec = topology.assembly, opened.spec
        assembly.engine.command_expiry_us = int(COMMAND_EXPIRY_US * how.speed)  # 30 s of whoever carries it out
        session = new_id(clock.wall_us()) if how.announcer is None else how.announcer.session
        assembly.session_durable = assembly.session_durable or how.announcer is not None  # what is deployed next may need it
        broker = await _broker(how.url or address_of(spec, secrets), how, stack)
        endpoint = Endpoint.parse(broker.address)
        transport = PahoTransport(endpoint, _settings(how, spec, assembly, endpoint, session, broker.characters_refused))
        signing = None if how.plays else _signing(topology, transport, clock, how, how.url or spec.broker)
        bus: Transport = transport if signing is None else signing.transport
        host = Host(assembly, bus, clock, name=how.name, session=session, store=store, topology=topology, changed=how.changed)
        if signing is not None:
            signing.guard(host)
            topology.trusting, topology.trusted = signing.trusting, host.trust
        host.session.herald.announcer = how.announcer
        host.session.herald.endings = endings_of(endpoint, transport, clock)
        if how.announcer is not None:
            how.announcer.endings = host.session.herald.endings
        if not how.plays:
            log = AuditFile(how.folder, how.name)
            stack.callback(log.close)
            host.log_orders(log)
        if how.announcer is None:  # else whoever follows deployments listens
            own = OwnName(spec.root, how.name, session, how.changed, spec.matrix, host.session.herald.announce)
            assembly.engine.listen(TopicFilter.parse(own.topic), own)
            bus.subscribe({own.topic: 1})
        yield Launched(host, assembly, transport, topology, str(endpoint), broker.kind, broker.address)


def _surroundings(
    opened: Opened, how: Launch, clock: Clock, new_id: Callable[[int], str], secrets: Callable[[], SecretStore], stack: AsyncExitStack
) -> Surroundings:
    """What the matrix is built with."""
    folder = opened.loader.folder
    return Surroundings(
        clock=clock,
        new_id=new_id,
        workshop=workshop_maker(clock),
        loader=opened.loader,
        chooser=choosers_of(clock, folder, stack),
        scorer=scorers_of(clock, stack),
        voices=LazyVoices(clock, stack),
        thinker=thinkers_of(clock, folder, secrets, None if how.plays else how.folder / "models", stack),
        places=how.places,
        secrets=secrets,
    )


@dataclass(frozen=True, slots=True)
class _Broker:
    """The broker that a host goes to. `kind` says in a word what is there, `characters_refused` what no topic may have in it."""

    address: str = field(repr=False)
    kind: str = "a broker elsewhere"
    characters_refused: str = ""


async def _broker(address: str, how: Launch, stack: AsyncExitStack) -> _Broker:
    """The broker at an address; an embedded one is started, and ends with the stack."""
    if address not in EMBEDDED_BROKERS:
        return _Broker(address)
    from edgematrix.runtime.broker import EmbeddedBroker  # noqa: PLC0415 - a host on a broker elsewhere does not need it
    from edgematrix.runtime.capabilities import load_capabilities  # noqa: PLC0415

    kind = None if address == "embedded" else address
    program = EmbeddedBroker(how.folder / "broker", kind=kind, observer=lambda event: _tell_of_broker(how, event))
    embedded = await stack.enter_async_context(program)
    return _Broker(embedded.url, embedded.kind, load_capabilities(embedded.kind).topic_characters_refused)


def _settings(how: Launch, spec: MatrixSpec, assembly: Assembly, endpoint: Endpoint, session: str, characters_refused: str) -> Settings:
    """How the host connects."""
    return Settings(
        client_id=endpoint.client_id or client_id(spec.root, how.name, spec.matrix if how.announcer is None else "host"),
        will=offline_will(spec.root, how.name, session),
        session_expiry_s=_SESSION_EXPIRY_S if assembly.session_durable else 0,
        acks_held=bool(assembly.engine.durable) or bool(how.places.here),
        characters_refused=characters_refused,
        not_ours=frozenset({f"{spec.root}/{Kind.IN}/{spec.matrix}/#"}),
        outbox_messages_max=assembly.engine.limits.outbox_messages_max + len(assembly.agents),
    )


def secrets_beside(folder: Path) -> SecretStore:
    """The secrets of a matrix in `folder`: where the environment says, else in `secrets/` there."""
    from edgematrix.identity.secrets import FOLDER, SecretStore  # noqa: PLC0415 - few matrices refer to any

    return SecretStore.found(folder / FOLDER, "beside the matrix file")


def address_of(spec: MatrixSpec, secrets: Callable[[], SecretStore]) -> str:
    """The broker that a matrix names, with the values of the secrets in its address.

    Raises:
        SecretError: one of them cannot be read.
        UsageError: with their values it is no address.
    """
    if "${secret:" not in spec.broker:
        return spec.broker
    from edgematrix.config.broker_address import filled  # noqa: PLC0415 - few matrices refer to any

    return filled(spec.broker, secrets())


def endings_of(endpoint: Endpoint, transport: PahoTransport, clock: Clock) -> Endings | None:
    """What tells which certificates of a connection end soon; None without TLS."""
    if not endpoint.tls:
        return None
    from edgematrix.runtime.endings import Endings  # noqa: PLC0415 - only who speaks TLS needs it

    return Endings(endpoint, lambda: transport.peer_certificate, clock.wall_us)


def client_id(root: str, name: str, what: str) -> str:
    """As whom a host presents itself to the broker: the same at each start, so that what came meanwhile is for it."""
    return f"{root.replace('/', '-')}-{what}-{name}"


def _topology(opened: Opened, around: Surroundings, store: SqliteStore | None, how: Launch) -> LiveTopology:
    """Build what the file says, with the changes that were made while it ran; a function, so that nothing keeps the definition.

    What is deployed is changed by deploying it: what is paused alone is taken up.
    """
    kept = None if store is None else store.read(LiveRecord.STORE_KEY + PART_SEPARATOR)
    spec = opened.hand_over()
    restored = restore(spec, kept) if how.announcer is None else restore_paused(spec, kept, how.revision)
    del spec
    if not how.plays and keys_folder(how.keys, how.url or restored.spec.broker) is None:
        refuse_signed(restored.spec)
    if restored.warning:
        how.changed(restored.warning)
    return LiveTopology(build(restored.spec, around), around, opened.again, restored)


def _signing(topology: LiveTopology, transport: PahoTransport, clock: Clock, how: Launch, broker: str) -> Signing | None:
    """What signs and checks messages; None for a host without keys, whose matrix wants none."""
    folder = keys_folder(how.keys, broker)
    if folder is None:
        return None
    from edgematrix.config.signing import Signing  # noqa: PLC0415 - few hosts have keys

    return Signing(folder, transport, topology.definition(), clock, how.name)


async def run_here(opened: Opened, how: Launch) -> None:
    """Run a matrix until SIGINT or SIGTERM.

    Raises:
        EdgeMatrixError: as `launch` and `Host.run`.
    """
    async with launch(opened, how) as launched:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, launched.host.stop)
        await launched.host.run()


def local_name() -> str:
    """This machine's name as a host's name.

    Raises:
        PathError: nothing of it is left that the grammar allows.
    """
    letters = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "-" for letter in socket.gethostname().lower()
    )
    return check_name(letters.strip("-_")[:64] or "host", "host")


def _tell_of_broker(how: Launch, event: BrokerEvent) -> None:
    """Tell what happens to the embedded broker after its start."""
    if event.what != "started":
        how.changed(f"embedded broker {event.what.replace('_', ' ')}: {event.detail}")
