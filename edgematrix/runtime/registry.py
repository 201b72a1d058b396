"""What a host knows of the agents of its matrix: what they may send and publish, where they are, and who hears them."""

from __future__ import annotations

from edgematrix.protocol.limits import Limits
from edgematrix.protocol.nesting import outgrows
from edgematrix.protocol.overlap import covers
from edgematrix.protocol.path import AgentPath, is_below
from edgematrix.protocol.port_check import PortCheck
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.call import Holder
from edgematrix.runtime.edges import NO_EDGES, Edges
from edgematrix.runtime.marks import NO_MARKS, Marks

__all__ = ["Registry"]


_SMALL = frozenset({str, int, float, bool, bytes, type(None)})
_PART_BYTES = 2
"""What a value in an array or an object takes at least as JSON, with the comma or bracket after it."""


class Registry:
    """Whoever builds agents fills it in; the engine, which is one, goes by it.

    Args:
        root: the first level of the bus's own topics.
        matrix: the matrix's name, for what no agent is to blame for.
        limits: the bounds in force.
    """

    def __init__(self, root: str, matrix: str, limits: Limits) -> None:
        self.root = root
        self.matrix = AgentPath(matrix)
        self.limits = limits
        self.deliveries: dict[str, tuple[int, bool]] = {}
        """QoS and retain flag of the outputs that are not sent with QoS 0 and forgotten, by topic."""
        self.guarded: dict[str, tuple[AgentPath, ...]] = {}
        """Foreign topics that belong to the agents of devices: nobody else publishes there."""
        self.checks: dict[str, PortCheck] = {}
        """What declared ports take, by topic."""
        self.wires: set[tuple[AgentPath, AgentPath, str]] = set()
        """Sender, receiver and port of each wire that the matrix names."""
        self.publishable: dict[AgentPath, tuple[str, ...]] = {}
        """The filters for foreign topics that an agent's code may publish on; of one that is not in it, all."""
        self.inner: set[AgentPath] = set()
        """Agents inside a flow or chat: what they put out leaves the host only while somebody watches, or where a port says how."""
        self.durable: set[AgentPath] = set()
        """Agents of which what they accept is processed to its end, with its effects once, whatever becomes of the host meanwhile."""
        self.elsewhere: frozenset[AgentPath] = frozenset()
        """Agents of the matrix that do not run here."""
        self.edges: Edges = NO_EDGES
        """What the agents elsewhere read and acknowledge."""
        self.marks: Marks = NO_MARKS
        """Where untrusted text comes from, and where people answer."""
        self.holders: dict[AgentPath, list[Holder]] = {}
        """The trigger groups of each agent."""

    def guard(self, topic: str, agent: AgentPath) -> None:
        """Let nobody but the agents of devices publish on a foreign topic."""
        self.guarded[topic] = (*self.guarded.get(topic, ()), agent)

    def may_send(self, sender: AgentPath, receiver: AgentPath, port: str) -> bool:
        """Whether the tree lets `sender` command this port: a descendant's, or one that it was wired to."""
        return is_below(receiver, sender) or (sender, receiver, port) in self.wires

    def only_input(self, sender: AgentPath, receiver: AgentPath) -> str:
        """The port of `receiver` that `sender` was wired to; the empty text where there is none, or several."""
        ports = {port for one, other, port in self.wires if one == sender and other == receiver}
        return ports.pop() if len(ports) == 1 else ""

    def refuses(self, topic: str) -> str | None:
        """Why no agent but a device's own may publish on `topic`; None if any may."""
        if topic == self.root or topic.startswith(f"{self.root}/"):
            return f"{topic!r} is below the root {self.root!r}, where agents speak by emit and send"
        if topic in self.guarded:
            return f"{topic!r} belongs to the agent of a device; send to it instead"
        asks = self.marks.answered_on(topic)
        return None if asks is None else f"people answer {asks} on {topic!r}: no agent answers in their place"

    def may_publish(self, agent: AgentPath, topic: str) -> bool:
        """Whether the agent's definition lets its code publish on a foreign topic."""
        granted = self.publishable.get(agent)
        levels = topic.split("/")
        return granted is None or any(covers(one.split("/"), levels) for one in granted)

    def misfit(self, agent: AgentPath, port: str, value: object) -> str:
        """Why a value is none for the agent's output port, with the field's name where it is not as declared; empty where it is one.

        What has outgrown any event is none here either: what grows in a loop would grow until nothing can be made of it.
        """
        excess = self.excess(value)
        if excess:
            return f"the output `{port}` {excess}"
        if not self.checks:
            return ""
        check = self.checks.get(topic_for(self.root, Kind.OUT, agent, port))
        wrong = "" if check is None else check.reason(value)
        return f"the output `{port}` is of the wrong type: {wrong}" if wrong else ""

    def excess(self, value: object, above: int = 1) -> str:
        """What is too much of a value for any event, in words; empty where nothing is.

        Args:
            above: how many levels are above it in the event, that itself counted.
        """
        if type(value) in _SMALL:
            return ""
        limits = self.limits
        beyond = outgrows(value, limits.depth_max - above, limits.payload_bytes_max // _PART_BYTES)
        if not beyond:
            return ""
        if beyond == "depth":
            return f"nests deeper than depth_max, {limits.depth_max}, lets events nest"
        return f"holds more values than payload_bytes_max, {limits.payload_bytes_max}, lets events hold"

    def holders_of(self, path: AgentPath) -> list[Holder]:
        """Those of an agent and of all below it."""
        return [holder for agent, held in self.holders.items() if agent == path or is_below(agent, path) for holder in held]
