"""Lets hosts follow the boards that judge trigger groups in their stead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgematrix.config.agent_tree import AgentTree, Target
from edgematrix.config.ears import Ears
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.assembly import Assembly, Parts
from edgematrix.runtime.engine import Listener
from edgematrix.runtime.group_runner import GroupRunner

if TYPE_CHECKING:
    from edgematrix.runtime.board_desk import BoardDesk, BoardGate

__all__ = ["Boards"]


class Boards:
    """The boards of a tree, for agents that are being built.

    Args:
        assembly: what runs; its desks are looked at, and not changed.
        ears: lets the new ones hear.
        parts: takes the new ones, and the tables that are right from then on.
    """

    def __init__(self, tree: AgentTree, assembly: Assembly, ears: Ears, parts: Parts) -> None:
        self._tree = tree
        self._assembly = assembly
        self._ears = ears
        self._parts = parts
        self._gates: dict[GroupRunner, BoardGate] = {}
        self.anew: frozenset[AgentPath] = frozenset()
        """Boards whose definition is new: what follows them begins anew."""

    def before(self, runner: GroupRunner, heard: Target) -> Listener:
        """What a group hears through: of a board only what that does not judge itself."""
        if not heard.node.is_board or heard.kind is not Kind.OUT:
            return runner
        from edgematrix.runtime.board_desk import BoardGate  # noqa: PLC0415 - few matrices have boards

        known = self._gates.get(runner)
        if known is None:
            known = self._gates[runner] = BoardGate(runner, self._desk(heard.node.path))
        return known

    def build(self) -> None:
        """Work out what each board is to judge, for the groups here, or because its table is handed out here."""
        if not any(node.is_board for node in self._tree):
            return
        from edgematrix.config.board_rules import board_rules  # noqa: PLC0415 - few matrices have boards

        nodes, here = self._tree.nodes, self._tree.places.here
        for found in board_rules(self._tree)[0]:
            is_kept = not here if found.keeper is None else not nodes[found.keeper].is_elsewhere
            if is_kept or any(not nodes[rule.agent].is_elsewhere for rule in found.table.rules):
                self._desk(found.board)
                keeper = found.keeper or AgentPath(self._tree.matrix.matrix)
                self._parts.tables[found.board] = (found.table, keeper if is_kept else None)

    def _desk(self, board: AgentPath) -> BoardDesk:
        """Who follows a board: one that is there goes on, unless the board itself is new."""
        found = self._parts.desks.get(board) or (None if board in self.anew else self._assembly.desks.get(board))
        if found is None:
            from edgematrix.runtime.board_desk import BoardDesk  # noqa: PLC0415 - few matrices have boards

            found = self._parts.desks[board] = BoardDesk(self._assembly.engine, board)
            for topic_filter in found.filters():
                self._ears.listen(topic_filter, found, qos=1)
        return found
