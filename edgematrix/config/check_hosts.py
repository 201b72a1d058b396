"""What is wrong with where agents are to run."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.finding import Finding, error

__all__ = ["check_hosts"]


def check_hosts(tree: AgentTree) -> Iterator[Finding]:
    """What no host could follow."""
    for node in tree:
        spec = node.spec
        if spec.needs is None and spec.failover is None:
            continue
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
