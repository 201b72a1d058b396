"""Who may publish and read what: the access list that follows from the tree (docs/spec/topics.md, "Authority")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from edgematrix.access.grant import Grants, GrantsDraft
from edgematrix.access.principal import Principal, Role, principal_name
from edgematrix.access.spec import AccessSpec, HostAccess, OperatorAccess
from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.board_rules import RULES_PORT, board_rules
from edgematrix.config.check_names import VERBS
from edgematrix.config.spec import MatrixSpec
from edgematrix.config.units import units_of
from edgematrix.config.wires import Foreign, Wires
from edgematrix.errors import ConfigError, Issue, PathError, TopicError
from edgematrix.hosting.placing import Unit
from edgematrix.protocol.overlap import check_subscription, overlaps
from edgematrix.protocol.path import AgentPath, is_below, parse_path
from edgematrix.protocol.topic import Kind, topic_for

__all__ = ["ORDERS", "principals_of"]

ORDERS = VERBS | {"failback"}
"""Verbs of an operator."""

_REACHING = frozenset({"create", "duplicate"})
"""Verbs by which an operator of some paths gets beyond them: what is created may send to, and publish, whatever its host may."""
_AWAKE = "_awake"
"""What a board that sleeps sends itself when it wakes (firmware_bridge/upy/sleep.py)."""
_OWN = (Kind.OUT, Kind.PART)
_TOLD = (Kind.STATE, Kind.TRACE, Kind.DEAD, Kind.ACK)
_UPDATES = ("_update", "_chunk")
"""Where boards are offered programs, and get them piece by piece (docs/spec/firmware.md)."""
_SHOWN = (Kind.OUT, Kind.PART, Kind.STATE, Kind.TRACE, Kind.DEAD, Kind.SPEC, Kind.LEASE, Kind.ACK, Kind.IN, Kind.CTL)
"""What an operator sees of agents."""


def principals_of(spec: MatrixSpec, local: str = "host") -> list[Principal]:
    """Everybody who is let in, with what each may do; hosts first, then devices, operators, clients, each in written order.

    Args:
        local: the host of a matrix in which no host is named: `edgematrix run` runs it there.

    Raises:
        ConfigError: two principals have one name, a named agent is not there, or a filter reaches into the bus's own topics.
    """
    return _Authority(spec, local).principals()


class _Authority:
    """Goes through the tree once for each principal."""

    def __init__(self, spec: MatrixSpec, local: str) -> None:
        self._spec = spec
        self._root = spec.root
        self._matrix = AgentPath(spec.matrix)
        self._access = spec.access or AccessSpec()
        self._tree = AgentTree.of(spec)
        self._wires = Wires(self._tree)
        self._units = {unit.path: unit for unit in units_of(self._tree)}
        self._unit_of: dict[AgentPath, AgentPath] = {}
        for node in self._tree:
            above = node.path.rpartition("/")[0]
            root = node.path if node.path in self._units else self._unit_of.get(AgentPath(above))
            if root is not None and not node.is_board:
                self._unit_of[node.path] = root
        self._readers = self._readers_by_agent()
        self._boards = self._boards_by_agent()
        self._hosts = self._all_hosts(local)
        self._issues: list[Issue] = []

    def principals(self) -> list[Principal]:
        found = [Principal(name, Role.HOST, name, self._host(name, about)) for name, about in self._hosts.items()]
        boards = [node for node in self._tree if node.is_board]
        found += [Principal(principal_name(Role.DEVICE, node.path), Role.DEVICE, node.path, self._device(node)) for node in boards]
        for name, operator in self._access.operators.items():
            found.append(Principal(name, Role.OPERATOR, name, self._operator(name, operator)))
        for name, client in self._access.clients.items():
            draft = GrantsDraft()
            self._foreign(draft, [Foreign(text, f"{name} publishes") for text in client.publishes], [])
            self._foreign(draft, [], [Foreign(text, f"{name} reads") for text in client.reads])
            found.append(Principal(name, Role.CLIENT, name, draft.grants()))
        self._issues += _same_names(found)
        if self._issues:
            raise ConfigError(self._issues)
        return found

    # Hosts

    def _all_hosts(self, local: str) -> dict[str, HostAccess]:
        named = dict(self._access.hosts)
        for unit in self._units.values():
            for name in (unit.host, *unit.candidates):
                if name:
                    named.setdefault(name, HostAccess())
        return named or {local: HostAccess()}

    def _host(self, name: str, about: HostAccess) -> Grants:
        draft = GrantsDraft()
        held = {path for path, unit in self._units.items() if self._may_hold(name, about, unit)}
        agents = [node for node in self._tree if self._unit_of.get(node.path) in held]
        is_whole = len(self._hosts) == 1 and len(held) == len(self._units) and not any(node.is_board for node in self._tree)
        self._presence(draft, name)
        self._inputs(draft, agents, whole=is_whole)
        if is_whole:
            # A few filters instead of ten for each agent: a broker looks at one after the other, for each message.
            self._own_subtree(draft, self._matrix, f"{name} runs the whole matrix", agent="+/")
        for node in agents:
            self._agent(draft, node)
        for path in held:
            if self._units[path].moves:
                self._lease(draft, path)
        if about.deploys or is_whole:
            why = f"{name} deploys" if about.deploys else f"{name} runs the whole matrix"
            draft.write(self._topic(Kind.SPEC, self._matrix, "#"), why)
            draft.write(self._topic(Kind.STATE, self._matrix, "#"), why)
        return draft.grants()

    def _may_hold(self, name: str, about: HostAccess, unit: Unit) -> bool:
        if unit.host == name or name in unit.candidates:
            return True
        if (unit.host and not unit.moves) or unit.candidates:
            return False
        return about.labels is None or set(unit.needs.labels) <= set(about.labels)

    def _presence(self, draft: GrantsDraft, name: str) -> None:
        root, matrix = self._root, self._matrix
        draft.write(f"{root}/{Kind.HOST}/{name}/#", f"{name} is there")
        draft.write(f"{root}/{Kind.REPLY}/{name}/#", f"{name} answers")
        for kind in (Kind.DEAD, Kind.TRACE):
            draft.write(topic_for(root, kind, matrix), f"{name} tells what it refuses")
        draft.read(f"{root}/{Kind.HOST}/+", "who is there")
        draft.read(f"{root}/{Kind.OP}/+/+/{matrix}/#", "orders of operators")
        draft.read(f"{root}/{Kind.SPEC}/{matrix}/#", "what is deployed")

    def _inputs(self, draft: GrantsDraft, agents: list[AgentNode], *, whole: bool) -> None:
        """Inputs and orders of agents above: of a whole subtree by one filter, as hosts subscribe to it."""
        if whole:
            for kind in (Kind.IN, Kind.CTL):
                draft.read(self._topic(kind, self._matrix, "#"), "all agents are here")
            return
        paths = {node.path for node in agents}
        for node in agents:
            for kind in (Kind.IN, Kind.CTL):
                draft.read(self._topic(kind, node.path, "#" if self._is_all_in(node, paths) else "+"), f"{node.path} takes work")

    def _is_all_in(self, node: AgentNode, paths: set[AgentPath]) -> bool:
        return node.path in paths and all(self._is_all_in(member, paths) for member in self._tree.members(node).values())

    def _agent(self, draft: GrantsDraft, node: AgentNode) -> None:
        """All that one agent does."""
        path, wires = node.path, self._wires
        self._own_subtree(draft, path, f"{path} speaks for itself and what is below it")
        for target in (*wires.sends(node), *wires.calls(node)):
            draft.write(topic_for(self._root, Kind.IN, target.node.path, target.port), f"{path} sends to {target.node.path}.{target.port}")
            self._acked(draft, path, target.node.path)
        for target in wires.sources(node):
            draft.read(topic_for(self._root, target.kind, target.node.path, target.port), f"{path} reads {target.node.path}.{target.port}")
        for target in wires.relayed(node):
            inside, port = target.node.path, target.port
            draft.read(topic_for(self._root, Kind.PART, inside, port), f"{path} passes on {inside}.{port}")
        for other in wires.heard(node):
            self._called(draft, node, other)
        for reader in self._readers.get(path, ()):
            self._acked(draft, path, reader)
        self._foreign(draft, wires.published(node), wires.foreign(node))
        for board in self._boards.get(path, ()):
            self._judged(draft, path, board)

    def _judged(self, draft: GrantsDraft, path: AgentPath, board: AgentPath) -> None:
        """What a board judges itself is handed out by one host, and told to all whose agents' groups it judges."""
        why = f"{board} judges groups of {path}, or gets its rules from it"
        draft.write(topic_for(self._root, Kind.IN, board, RULES_PORT), why)
        draft.read(topic_for(self._root, Kind.OUT, board, RULES_PORT), why)
        draft.read(topic_for(self._root, Kind.STATE, board), why)

    def _boards_by_agent(self) -> Mapping[AgentPath, tuple[AgentPath, ...]]:
        """The boards that judge groups of each agent, or whose rules its host hands out."""
        found: dict[AgentPath, dict[AgentPath, None]] = {}
        for board in board_rules(self._tree)[0]:
            for path in (board.keeper, *(rule.agent for rule in board.table.rules)):
                if path is not None:
                    found.setdefault(path, {})[board.board] = None
        return {path: tuple(boards) for path, boards in found.items()}

    def _own_subtree(self, draft: GrantsDraft, path: AgentPath, why: str, agent: str = "") -> None:
        """What an agent may for itself and what is below it; with `agent`, what all agents directly below `path` may."""
        for kind in _OWN:
            draft.write(self._topic(kind, path, f"{agent}+/#"), why)
        for kind in (Kind.IN, Kind.CTL):
            draft.write(self._topic(kind, path, f"{agent}+/+/#"), why)
        draft.write(self._topic(Kind.SPEC, path, f"{agent}+/#"), why)
        for kind in _TOLD:
            draft.write(self._topic(kind, path, f"{agent}#"), why)

    def _called(self, draft: GrantsDraft, caller: AgentNode, called: AgentNode) -> None:
        why = f"{caller.path} calls {called.path}"
        for kind in _OWN:
            draft.read(self._topic(kind, called.path, "+"), why)
        draft.read(topic_for(self._root, Kind.STATE, called.path), why)
        if not is_below(called.path, caller.path):
            draft.write(self._topic(Kind.CTL, called.path, "cancel"), f"{caller.path} hangs up on {called.path}")
        self._acked(draft, caller.path, called.path)

    def _acked(self, draft: GrantsDraft, sender: AgentPath, receiver: AgentPath) -> None:
        draft.read(topic_for(self._root, Kind.ACK, receiver), f"{receiver} acknowledges what {sender} sends")

    def _lease(self, draft: GrantsDraft, path: AgentPath) -> None:
        why = f"it may have {path}"
        draft.write(topic_for(self._root, Kind.LEASE, path), why)
        draft.read(topic_for(self._root, Kind.LEASE, path), why)
        draft.read(self._topic(Kind.STATE, path, "_snapshot"), why)

    def _readers_by_agent(self) -> Mapping[AgentPath, tuple[AgentPath, ...]]:
        """Who reads an output of each agent, or works on its inputs."""
        found: dict[AgentPath, dict[AgentPath, None]] = {}
        for node in self._tree:
            heard = [target.node.path for target in self._wires.sources(node)]
            heard += [other.path for other in self._wires.heard(node)]
            for path in heard:
                found.setdefault(path, {})[node.path] = None
        return {path: tuple(readers) for path, readers in found.items()}

    # Devices, operators

    def _device(self, node: AgentNode) -> Grants:
        """A board speaks for itself and nobody else, and hears what is sent to it."""
        draft = GrantsDraft()
        path, why = node.path, "it speaks for itself"
        for kind in _OWN:
            draft.write(self._topic(kind, path, "+/#"), why)
        for kind in _TOLD:
            draft.write(self._topic(kind, path, "#"), why)
        for kind in (Kind.IN, Kind.CTL):
            draft.read(self._topic(kind, path, "#"), "work for it")
        draft.write(self._topic(Kind.IN, path, _AWAKE), "its word to itself, behind which nothing waits")
        return draft.grants()

    def _operator(self, name: str, about: OperatorAccess) -> Grants:
        draft = GrantsDraft()
        root, matrix = self._root, self._matrix
        usual = ("+",) if about.paths is None else tuple(sorted(ORDERS - _REACHING))
        verbs = tuple(about.verbs) if about.verbs is not None else usual
        self._issues += [
            Issue("error", f"access.operators.{name}: there is no verb {verb!r}", remedy=f"known are {', '.join(sorted(ORDERS))}")
            for verb in verbs
            if verb != "+" and verb not in ORDERS
        ]
        for path in self._operated(name, about):
            for verb in verbs:
                draft.write(f"{root}/{Kind.OP}/{name}/{verb}/{path}/#", "it gives orders")
            for kind in _SHOWN:
                draft.read(self._topic(kind, path, "#"), "it sees")
        boards = [node for node in self._tree if node.is_board and _is_operated(about, node.path)]
        if "send" in verbs or "+" in verbs:
            for node in boards:
                draft.write(self._topic(Kind.IN, node.path, "+"), f"{node.path} has no host that could take an order")
        draft.read(f"{root}/{Kind.HOST}/#", "who is there")
        draft.read(f"{root}/{Kind.STATE}/#", "who is there")
        draft.read(f"{root}/{Kind.REPLY}/+/{name}/#", "answers")
        draft.read(f"{root}/{Kind.DEAD}/{matrix}", "what is refused")
        if about.deploys:
            draft.write(self._topic(Kind.SPEC, matrix, "#"), "it deploys")
            for node in boards:
                for part in _UPDATES:
                    draft.write(self._topic(Kind.IN, node.path, part), f"it deploys, and {node.path} takes programs over the air")
        self._foreign(draft, [], [Foreign(text, f"{name} reads") for text in about.reads])
        return draft.grants()

    def _operated(self, name: str, about: OperatorAccess) -> Iterator[AgentPath]:
        if about.paths is None:
            yield self._matrix
            return
        for text in about.paths:
            try:
                path = parse_path(text)
            except PathError as error:
                self._issues.append(Issue("error", f"access.operators.{name}.paths: {error}"))
                continue
            if path != self._matrix and path not in self._tree.nodes:
                self._issues.append(Issue("error", f"access.operators.{name}.paths: there is no agent {path}"))
            yield path

    # Topics

    def _topic(self, kind: Kind, path: AgentPath, rest: str) -> str:
        return f"{self._root}/{kind}/{path}/{rest}"

    def _foreign(self, draft: GrantsDraft, published: Iterable[Foreign], read: Iterable[Foreign]) -> None:
        for foreign in published:
            if self._is_outside(foreign):
                draft.write(foreign.filter, foreign.reason)
        for foreign in read:
            if self._is_outside(foreign):
                draft.read(foreign.filter, foreign.reason)

    def _is_outside(self, foreign: Foreign) -> bool:
        """Whether a filter can be granted, and leaves the bus's own topics alone: a grant of others may not open these."""
        try:
            levels = check_subscription(foreign.filter).split("/")
        except TopicError as error:
            self._issues.append(Issue("error", f"{foreign.reason}: {error.what}", remedy="a/b, a/+/c or a/#"))
            return False
        if levels[0].startswith("$"):
            what = f"{foreign.reason}: {foreign.filter!r} begins with $, as the broker's own topics do, and cannot be granted"
            self._issues.append(Issue("error", what, remedy="name a topic that does not"))
            return False
        for kind in Kind:
            hidden = [*self._root.split("/"), kind, "#"]
            if overlaps(levels, hidden):
                what = f"{foreign.reason}: {foreign.filter!r} reaches topics below {'/'.join(hidden[:-1])}/, and cannot be granted"
                self._issues.append(Issue("error", what, remedy="name the first level of the topic"))
                return False
        return True


def _same_names(principals: list[Principal]) -> Iterator[Issue]:
    """A user name is one principal's."""
    seen: dict[str, Principal] = {}
    for principal in principals:
        other = seen.setdefault(principal.name, principal)
        if other is not principal:
            what = f"{principal.name!r} is the name of {_told(other)} and of {_told(principal)}: a broker knows them by it"
            yield Issue("error", what, remedy="rename one of them")


def _told(principal: Principal) -> str:
    return f"the {principal.role} {principal.subject}"


def _is_operated(about: OperatorAccess, path: AgentPath) -> bool:
    return about.paths is None or any(path == above or is_below(path, above) for above in about.paths)
