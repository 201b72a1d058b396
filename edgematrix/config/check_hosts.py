"""What is wrong with where agents are to run."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.finding import Finding, error
from edgematrix.config.inherited import Inherited
from edgematrix.protocol.path import parent_of

__all__ = ["check_hosts"]


def check_hosts(tree: AgentTree) -> Iterator[Finding]:
    """What no host could follow."""
    for node in tree:
        spec = node.spec
        if spec.host is None and spec.needs is None and spec.failover is None:
            continue
        if not node.is_board:
            yield from _check_reader(tree, node)
        if node.is_board:
            for key in ("needs", "failover"):
                if getattr(spec, key) is not None:
                    what = f"{node.path} speaks for itself, as a board does, so `{key}` means nothing"
                    yield error((*node.where, key), what, "it is for agents that a host runs", at_key=True)
        elif spec.failover is not None:
            hosts = spec.failover.hosts
            double = next((name for index, name in enumerate(hosts) if name in hosts[:index]), None)
            if double is not None:
                yield error((*node.where, "failover"), f"the host {double!r} is named twice", "name each host once, in order")


def _check_reader(tree: AgentTree, node: AgentNode) -> Iterator[Finding]:
    """Work for a composite is acknowledged by its host: an agent in it that reads its input elsewhere could lose it, or its answer."""
    if not _is_durable(tree, node):
        return
    for name, trigger in node.spec.triggers.items():
        for source_name, source in trigger.on.items():
            if source.from_ is not None and source.from_.partition(".")[0] == "parent":
                above = parent_of(node.path)
                what = f"{node.path} is durable and may be on another host than {above}, whose input it reads and acknowledges"
                remedy = f"leave out its `host`, `needs` and `failover`, or make {above} a flow, which calls it wherever it is"
                yield error((*node.where, "triggers", name, "on", source_name, "from"), what, remedy)


def _is_durable(tree: AgentTree, node: AgentNode) -> bool:
    above, chain = parent_of(node.path), [node.spec]
    while above is not None and above in tree.nodes:
        chain.append(tree.nodes[above].spec)
        above = parent_of(above)
    found = Inherited().under(tree.matrix.defaults)
    for spec in reversed(chain):
        found = found.of(spec)
    return found.is_durable
