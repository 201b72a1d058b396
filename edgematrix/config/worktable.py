"""What agents are built on: the tree that they are from, and what they are put into."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from edgematrix.config.agent_tree import AgentNode, AgentTree
from edgematrix.config.ears import Ears
from edgematrix.config.surroundings import Surroundings
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.assembly import Parts
from edgematrix.runtime.draft import Site
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.observation import Stalled
from edgematrix.runtime.run import Body

if TYPE_CHECKING:
    from edgematrix.runtime.workshop import Workshop

__all__ = ["Worktable"]


class Worktable:
    """What all that build agents have in common.

    Args:
        site: where listeners are put: an engine, or a draft of what is to be in one.
        parts: takes what is made besides.
    """

    def __init__(self, tree: AgentTree, around: Surroundings, engine: Engine, site: Site, parts: Parts) -> None:
        self.tree = tree
        self.around = around
        self.engine = engine
        self.site = site
        self.parts = parts
        self.ears = Ears(tree, engine, site, parts)

    def next_order(self) -> int:
        """The place of the next part of an agent in the matrix as written."""
        self.parts.order += 1
        return self.parts.order

    def workshop(self) -> Workshop:
        """Where agents' code runs; made when the first has any."""
        if self.parts.workshop is None:
            self.parts.workshop = self.around.workshop(self.engine.limits, partial(_stalled, self.engine, self.around.clock))
        return self.parts.workshop

    def supervised(self, node: AgentNode, body: Body) -> Body:
        """An agent's body, with what its `retry:` and `deadline:` do around it."""
        retry, deadline = node.spec.retry, node.spec.deadline
        if retry is None and deadline is None:
            return body
        from edgematrix.runtime.supervision import Supervision  # noqa: PLC0415 - few agents need it

        return Supervision(self.engine, body, retry, deadline)


def _stalled(engine: Engine, clock: Clock, path: str, stall_ms: int) -> None:
    """A function, and no method: the workshop would keep the table, and with it the whole definition."""
    engine.observe(Stalled(clock.now_us(), path, stall_ms))
