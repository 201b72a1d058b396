"""How far a body is with a run, as bytes: what it takes to go on with it after a restart."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgematrix.errors import StateError

__all__ = ["Progress"]


class Progress(msgspec.Struct, frozen=True):
    """`state` is written anew each time. `journal` has the parts that are to be added to those that were written before;
    when a run goes on, all of them. A new `attempt` begins a new journal.
    """

    kind: str
    state: bytes
    journal: Sequence[bytes] = ()
    attempt: int = 0

    def check(self, kind: str) -> None:
        """Refuse what another kind of agent has written.

        Raises:
            StateError: it is of another kind.
        """
        if self.kind != kind:
            raise StateError(f"it was under way in an agent of another kind ({self.kind or 'none'}, now {kind})")
