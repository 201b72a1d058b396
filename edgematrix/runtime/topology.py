"""What changes the agents of a running host, as the host sees it: a definition is edited, checked and built, then put in place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.order import Edit

__all__ = ["Applied", "Prepared", "Topology"]


class Prepared(Protocol):
    """A change that can be put in place."""


class Applied(msgspec.Struct, frozen=True):
    """What a change did.

    `agents` are all that live here now; `added` and `removed` those that came and went, `changed` those whose definition is
    another one. `subscribe` and `unsubscribe` are for the broker. `forgotten` are the owners of stored states that are of no
    use any more. `specs` are the definitions that are new, None for what is gone; `manifest` has the hash of each.
    `warnings` tell what looks wrong in what was changed.
    """

    revision: int
    agents: Collection[AgentPath]
    elsewhere: frozenset[AgentPath]
    added: Collection[AgentPath] = ()
    removed: Collection[AgentPath] = ()
    changed: Collection[AgentPath] = ()
    subscribe: Mapping[str, int] = {}
    unsubscribe: Collection[str] = ()
    forgotten: Collection[str] = ()
    specs: Mapping[AgentPath, object] = {}
    manifest: Mapping[AgentPath, str] = {}
    warnings: Collection[str] = ()


class Topology(Protocol):
    """The definition of what runs here. Changes are made in order, one at a time."""

    @property
    def revision(self) -> int:
        """How often the definition was changed."""

    def prepare(self, path: AgentPath, edit: Edit) -> Prepared:
        """Edit, check and build. Nothing that runs is touched, so it may be done beside the event loop.

        Raises:
            EdgeMatrixError: the change is wrong; why, and what would be right.
        """

    def apply(self, prepared: Prepared, now_us: int) -> Applied:
        """Put a change in place, on the event loop."""

    def remember(self) -> None:
        """Work out what the definition was at the start, so that whatever is kept belongs to it. It may take long.

        Raises:
            ConfigError: the definition has no JSON form.
        """

    def note(self) -> None:
        """What is paused has changed: keep it."""
