"""What a group remembers."""

from __future__ import annotations

__all__ = ["GroupState"]


class GroupState:
    """The whole memory of one group. Opaque to callers: `Group.save` and `Group.load` know its form."""

    __slots__ = ()
