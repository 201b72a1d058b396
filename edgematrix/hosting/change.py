"""What a deployment changes."""

from __future__ import annotations

import msgspec

from edgematrix.hosting.manifest import Manifest
from edgematrix.protocol.path import AgentPath

__all__ = ["Change", "Move"]


class Move(msgspec.Struct, frozen=True):
    """An agent that goes from one host to another; the empty text is none, as for a board."""

    path: AgentPath
    start: str
    end: str


class Change(msgspec.Struct, frozen=True):
    """What differs between what is deployed and what is to be: agents by path, in written order.

    An agent that moves with another definition is in both. `is_head` tells that the matrix as a whole says something else, such as
    its time zone; `is_reordered` that hosts are named in another order, or definitions are written in another.
    """

    added: tuple[AgentPath, ...] = ()
    removed: tuple[AgentPath, ...] = ()
    changed: tuple[AgentPath, ...] = ()
    moved: tuple[Move, ...] = ()
    is_head: bool = False
    is_reordered: bool = False

    @classmethod
    def between(cls, old: Manifest | None, new: Manifest) -> Change:
        """What differs; all is added where nothing was deployed."""
        if old is None:
            return cls(added=tuple(new.paths))
        before, after = old.paths, new.paths
        kept = [path for path in after if path in before]
        changed = tuple(path for path in kept if before[path] != after[path])
        moves = (Move(path, _first(old, path), _first(new, path)) for path in kept)
        moved = tuple(move for move in moves if move.start != move.end)
        added, removed = tuple(path for path in after if path not in before), tuple(path for path in before if path not in after)
        is_reordered = not (added or removed or changed or moved) and (old.places != new.places or list(before) != list(after))
        return cls(added, removed, changed, moved, old.head != new.head, is_reordered)

    @property
    def is_nothing(self) -> bool:
        """Whether it is all the same."""
        return not (self.added or self.removed or self.changed or self.moved or self.is_head or self.is_reordered)


def _first(manifest: Manifest, path: AgentPath) -> str:
    """The host of an agent, empty for a board; of a pool's one child, those of its replicas, which are placed one by one."""
    own = manifest.hosts_of(path)
    if path in manifest.places:
        return next(iter(own), "")
    head = f"{path}-"
    replicas = sorted(
        (found, names) for found, names in manifest.places.items() if found.startswith(head) and found[len(head) :].isdigit() and names
    )
    return ", ".join(names[0] for _, names in replicas) if replicas else next(iter(own), "")
