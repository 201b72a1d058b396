"""The brokers of a profile, started together, watched, and stopped together."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from edgematrix.errors import BrokerError, EdgeMatrixError, UsageError
from edgematrix.runtime.broker_access import BrokerIdentities
from edgematrix.runtime.broker_folder import PORT_MAX, free_ports, is_free, keep_ports, kept_ports, owned
from edgematrix.runtime.broker_node import BrokerEvent, BrokerNode
from edgematrix.runtime.broker_profile import Profile, ProfileNode
from edgematrix.runtime.broker_program import choose
from edgematrix.transport.endpoint import Endpoint

__all__ = ["LOOPBACK", "BrokerSet", "BrokerWish"]

LOOPBACK = "127.0.0.1"
_FIRST_PORT = 1883
_FIRST_CLUSTER_PORT = 6222
_START_S = 20.0
_TRIES_MAX = 5
_ANSWER_S = 60.0
"""A NATS cluster elects who leads, and makes its streams; on a slow machine that takes its time."""
_STOP_S = 10.0
"""A broker writes what it holds when it ends."""
_LOOK_S = 1.0
"""How often an access folder is looked at."""
_REMEDY = "say who may with --access DIR, which `edgematrix provision` makes; without TLS with --users or --anonymous"
_ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - a comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerWish:
    """What is asked of a profile, beyond what it says itself.

    `port` is the first node's, the others follow; None takes those of before, or free ones. `only` names the one node that is
    started. `centre` is where an edge is bridged to, if its centre is not started beside it. `listen` is the address of this
    machine; others than loopback need `access`, the folder of `edgematrix provision` with which the broker has TLS and an access list,
    or `insecure` with `users`, a file in the broker's own form that says who may come in, or with `anonymous`.
    """

    port: int | None = None
    only: str | None = None
    centre: str | None = None
    listen: str = LOOPBACK
    users: Path | None = None
    anonymous: bool = False
    access: Path | None = None
    insecure: bool = False

    @property
    def danger(self) -> str:
        """What is to be said each time it is started; empty if nothing is."""
        if self.access is not None or ipaddress.ip_address(self.listen).is_loopback:
            return ""
        if self.users is None:
            return f"insecure: whoever reaches {self.listen} may do everything on this bus, without a name"
        return f"insecure: without TLS, passwords and all that travels can be read on the way to {self.listen}"


class BrokerSet:
    """The running brokers of a profile. Used as `async with BrokerSet(profile, folder) as brokers`.

    A broker that dies is started again on its port, later each time while it dies often. One that cannot read its database
    sets it aside and begins afresh. None outlives this process.

    Args:
        profile: which.
        folder: where they keep what they hold; made if it is missing.
        wish: what is asked beyond the profile.
        observer: is told what happens after the start, and of databases that are set aside.

    Raises:
        UsageError: the profile is none that is started here, or the wish cannot be fulfilled.
    """

    def __init__(
        self, profile: Profile, folder: Path, wish: BrokerWish | None = None, *, observer: Callable[[BrokerEvent], None] | None = None
    ) -> None:
        self._profile = profile
        self._folder = folder
        self._wish = wish or BrokerWish()
        self._observer = observer
        self._wanted = _wanted(profile, self._wish)
        self.identities = None if self._wish.access is None else BrokerIdentities(self._wish.access)
        """The access folder; None where the broker has none."""
        self._following: asyncio.Task[None] | None = None
        self._centre = None if self._wish.centre is None else _centre(self._wish.centre)
        self._held = ExitStack()
        self.nodes: tuple[BrokerNode, ...] = ()

    @property
    def urls(self) -> Mapping[str, str]:
        """Where clients connect, by what is there: one address for all nodes of one bus, else one for each."""
        if self._profile.one_bus:
            return {self._profile.name: f"{self.nodes[0].scheme}://{','.join(node.place for node in self.nodes)}"}
        return {node.name: f"mqtt://{node.place}" for node in self.nodes}

    async def __aenter__(self) -> Self:
        """Start them, and wait until each answers.

        Raises:
            BrokerError: a program is not installed, one did not start, a port is taken, or the folder cannot be used.
        """
        with ExitStack() as held:
            try:
                held.enter_context(owned(self._folder))
                await self._start()
            except OSError as error:
                raise BrokerError(f"the brokers cannot be started: {error}", where=str(self._folder)) from error
            self._held = held.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop them all; they write what they hold."""
        with self._held:
            await self._stop()

    async def _start(self) -> None:
        for _ in range(_TRIES_MAX):
            self.nodes = self._make()
            try:
                taken = await self._begin()
            except BaseException:
                await self._stop()
                raise
            if not taken:
                break
            await self._stop()  # others look for free ports too: they are looked for anew
        else:
            raise BrokerError(f"a port was taken meanwhile: {', '.join(map(str, taken))}", remedy="try again")
        for node in self.nodes:
            node.watch()
        if self.identities is not None:
            self._following = asyncio.create_task(self._follow(self.identities), name="access folder")

    async def _begin(self) -> list[int]:
        """Start the processes, and wait until each answers; the ports that somebody has taken meanwhile."""
        started = await asyncio.gather(*(node.start() for node in self.nodes))
        taken = [node.port for node, there in zip(self.nodes, started, strict=True) if not there]
        if not taken:
            await asyncio.gather(*(node.until_it_answers(_ANSWER_S) for node in self.nodes))
        return taken

    async def _follow(self, identities: BrokerIdentities) -> None:
        """Let the brokers read their files again when they have changed, and are whole."""
        known = seen = identities.stamp()
        while True:
            await asyncio.sleep(_LOOK_S)
            before, seen = seen, identities.stamp()
            if seen != before or seen == known or not seen:
                continue
            known = seen
            for node in self.nodes:
                node.reread()
            if self._observer is not None:
                self._observer(BrokerEvent("access", f"{identities.path} has changed and is taken over{self._not_taken(identities)}"))

    def _not_taken(self, identities: BrokerIdentities) -> str:
        """Where a broker listens is read when it starts, and not again."""
        try:
            there = BrokerIdentities(identities.path)
        except EdgeMatrixError as error:
            return f"; {error}"
        if self._nodes_text(there) == self._nodes_text(identities):
            return ""
        return "; where it listens, and how, has changed: stop this command, and start it again"

    def _nodes_text(self, identities: BrokerIdentities) -> str:
        if self._wanted[0].program == "nats":
            return identities.nats_tls()
        return identities.mosquitto(identities.port, self._wish.listen)

    async def _stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
        await asyncio.gather(*(node.stop() for node in self.nodes))

    def _make(self) -> tuple[BrokerNode, ...]:
        wish, wanted = self._wish, self._wanted
        programs = {node.program: choose(node.program) for node in wanted}
        ports, cluster_ports = self._ports()
        reached = LOOPBACK if wish.listen in _ANYWHERE else wish.listen
        routes = ", ".join(f'"nats-route://{LOOPBACK}:{port}"' for port in cluster_ports.values())
        centre = self._centre or Endpoint(reached, next(iter(ports.values())))
        made = []
        for node in wanted:
            program, executable = programs[node.program]
            directory = self._folder / node.name
            directory.mkdir(exist_ok=True)
            access = self._access(node, directory)
            values = {
                "node": node.name,
                "listen": f"[{wish.listen}]" if ":" in wish.listen and node.program == "nats" else wish.listen,
                "access": access,
                "listeners": self._listeners(ports[node.name], access),
                "tls": "" if self.identities is None or node.program != "nats" else self.identities.nats_tls(),
                "cluster_port": str(cluster_ports.get(node.name, 0)),
                "routes": routes,
                "centre": f"{centre.host}:{centre.port}",
                "bridge_access": _bridge_access(centre),
            }
            made.append(
                BrokerNode(
                    node.name,
                    program,
                    executable,
                    directory,
                    template=node.configuration,
                    values=values,
                    port=ports[node.name],
                    address=reached,
                    start_timeout_s=_START_S,
                    stop_timeout_s=_STOP_S,
                    observer=self._observer,
                    tls=None if self.identities is None else (self.identities.context(), self.identities.registry.servers[0]),
                    leads=node.program == "nats" and self.identities is not None,
                )
            )
        return tuple(made)

    def _ports(self) -> tuple[dict[str, int], dict[str, int]]:
        """The ports for MQTT, and those with which the nodes of a cluster speak to each other."""
        wish, names = self._wish, [node.name for node in self._wanted]
        before = kept_ports(self._folder)
        taken: set[int] = set()
        first = wish.port if self.identities is None else self._first_port(self.identities)
        if first is None:
            ports = free_ports(names, wish.listen, _FIRST_PORT, before, taken)
        else:
            ports = {name: first + number for number, name in enumerate(names)}
            for name, port in ports.items():
                if not is_free(wish.listen, port):
                    raise BrokerError(f"port {port}, for {name}, is taken", remedy="stop what listens there, or name another with --port")
            taken.update(ports.values())
        clustered = [f"{name} cluster" for name in names] if self._profile.one_bus and len(names) > 1 else []
        cluster_ports = free_ports(clustered, LOOPBACK, _FIRST_CLUSTER_PORT, before, taken)
        keep_ports(self._folder, {**before, **ports, **cluster_ports})
        return ports, {name: cluster_ports[f"{name} cluster"] for name in names if clustered}

    def _first_port(self, identities: BrokerIdentities) -> int:
        """Where the addresses in the access folder lead."""
        if self._wish.port not in (None, identities.port):
            raise UsageError(
                f"the addresses in {identities.path} lead to port {identities.port}",
                where="--port",
                remedy=f"edgematrix provision MATRIX --out {identities.path} --port {self._wish.port}",
            )
        return identities.port + (identities.first_offset if self._wanted[0].program == "mosquitto" else 0)

    def _listeners(self, port: int, access: str) -> str:
        """Where one mosquitto listens."""
        if self.identities is not None:
            return self.identities.mosquitto(self.identities.port, self._wish.listen) if self._wanted[0].program == "mosquitto" else ""
        return f"listener {port} {self._wish.listen}\n{access}"

    def _access(self, node: ProfileNode, directory: Path) -> str:
        users = self._wish.users
        if self.identities is not None:
            return "" if node.program == "mosquitto" else self.identities.nats_users(directory)
        if node.program == "mosquitto":
            return "allow_anonymous true" if users is None else f"allow_anonymous false\npassword_file {users.resolve()}"
        # nats-server takes what it includes from the folder of the file that includes it.
        return "" if users is None else f'include "{os.path.relpath(users.resolve(), directory.resolve())}"'


def _wanted(profile: Profile, wish: BrokerWish) -> Sequence[ProfileNode]:
    """The nodes that are to be started."""
    if not profile.nodes:
        raise UsageError(
            f"{profile.name} is written down only; EdgeMatrix does not start it",
            remedy=f"`edgematrix broker show {profile.name}` prints its configuration",
        )
    _check_access(wish)
    if wish.access is not None and not (profile.one_bus):
        raise UsageError(
            f"{profile.name} has several buses, and an access folder is for one",
            where="--access",
            remedy="start two of `broker up mosquitto --access`, each with its own folder",
        )
    nodes = profile.nodes
    if wish.only is not None:
        names = [node.name for node in nodes]
        if wish.only not in names:
            raise UsageError(f"{profile.name} has no node {wish.only[:40]!r}", where="--only", remedy=f"it has {', '.join(names)}")
        if profile.one_bus and len(nodes) > 1:
            raise UsageError(
                f"the nodes of {profile.name} are started together here", where="--only", remedy=f"{profile.page} tells of several machines"
            )
        nodes = tuple(node for node in nodes if node.name == wish.only)
    if wish.port is not None and not 0 < wish.port <= PORT_MAX - len(nodes) + 1:
        raise UsageError(f"port {wish.port} is none, or leaves no room for {len(nodes)}", where="--port")
    _check_centre(profile, wish, nodes)
    return nodes


def _check_access(wish: BrokerWish) -> None:
    try:
        loopback = ipaddress.ip_address(wish.listen).is_loopback
    except ValueError:
        raise UsageError(f"{wish.listen[:80]!r} is no IP address", where="--listen") from None
    if wish.access is not None:
        if wish.users is not None or wish.anonymous:
            raise UsageError("--access says who may come in", where="--users" if wish.users is not None else "--anonymous")
        return
    if wish.users is not None:
        if wish.anonymous:
            raise UsageError("--users and --anonymous say two things", where="--anonymous")
        if not wish.users.is_file():
            raise UsageError("there is no such file", where=str(wish.users))
        if any(bad in str(wish.users.resolve()) for bad in '"\n\r\\'):
            raise UsageError("the file's name holds a quote, a backslash or a line break", where="--users")
    elif not loopback and not wish.anonymous:
        raise UsageError(f"whoever reaches {wish.listen} could use the bus", where="--listen", remedy=_REMEDY)
    if not loopback and not wish.insecure:
        raise UsageError(f"{wish.danger.removeprefix('insecure: ')}", where="--listen", remedy=f"{_REMEDY}, and --insecure")


def _check_centre(profile: Profile, wish: BrokerWish, nodes: Sequence[ProfileNode]) -> None:
    bridged = [node.name for node in profile.nodes if node.name == "edge"]
    alone = [node.name for node in nodes] == bridged != []
    if alone and wish.centre is None:
        raise UsageError("an edge that is started alone needs its centre", where="--only", remedy="name it: --centre mqtt://host:1883")
    if wish.centre is not None and not alone:
        raise UsageError(
            "a centre elsewhere is for an edge that is started alone",
            where="--centre",
            remedy="`edgematrix broker up mosquitto-bridge --only edge`",
        )
    if wish.users is not None and bridged and len(nodes) > 1:
        raise UsageError(
            "where users are checked, the bridge needs to be one",
            where="--users",
            remedy="start the two apart: --only centre, and --only edge --centre",
        )


def _centre(url: str) -> Endpoint:
    centre = Endpoint.parse(url)
    if centre.others:
        raise UsageError("a bridge goes to one address", where="--centre")
    for text in (centre.host, centre.username, centre.password, centre.ca, centre.cert, centre.key):
        if text is not None and not text.isprintable():
            raise UsageError("there is a control character in it", where="--centre")
    return centre


def _bridge_access(centre: Endpoint) -> str:
    """The lines of mosquitto's configuration that prove who the bridge is."""
    lines = {
        "remote_username": centre.username,
        "remote_password": centre.password,
        "bridge_cafile": centre.ca,
        "bridge_certfile": centre.cert,
        "bridge_keyfile": centre.key,
    }
    found = [f"{name} {value}" for name, value in lines.items() if value is not None]
    if centre.tls and centre.ca is None:
        found.append("bridge_capath /etc/ssl/certs")
    return "\n".join(found)
