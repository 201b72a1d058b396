"""Tells when a revision stays in pieces: definitions that its manifest means do not come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgematrix.hosting.revision import Gathering
from edgematrix.runtime.birth import Announcer

__all__ = ["Lacking"]

_GRACE_S = 3.0
"""How long definitions may come after their manifest before that is told."""


class Lacking:
    """Says in the host's birth that a revision is not whole; who deployed it can mend that.

    Args:
        changed: called with the sentence.
        announce: says the birth again.
    """

    def __init__(self, gathering: Gathering, announcer: Announcer, changed: Callable[[str], None], announce: Callable[[], None]) -> None:
        self._gathering = gathering
        self._announcer = announcer
        self._changed = changed
        self._announce = announce
        self._grace: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Something of the revision has come: what is still missing is told in a while."""
        if self._grace is None and not self._gathering.is_whole:
            self._grace = asyncio.get_running_loop().call_later(_GRACE_S, self._tell)

    def close(self) -> None:
        """Tell nothing any more."""
        if self._grace is not None:
            self._grace.cancel()

    def _tell(self) -> None:
        self._grace = None
        standing = self._gathering.standing()
        told = standing.told()
        if told and (self._announcer.refused is None or self._announcer.refused.reason != told):
            self._changed(told)
            self._announcer.refuses(standing.revision, told)
            self._announce()
