"""Whom a transport tells what comes and goes. Whatever the owner does, the connection goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgematrix.errors import UsageError
from edgematrix.protocol.ports import Link
from edgematrix.transport.connection import Change, State
from edgematrix.transport.tally import Tally

__all__ = ["Owner"]

_log = logging.getLogger(__name__)


class Owner:
    """The link, and an observer of the connection's state.

    Args:
        tally: counts what they raise, and outages.
        observer: is told each change of the connection's state, once an outage.
    """

    __slots__ = ("_observer", "_tally", "link")

    def __init__(self, tally: Tally, observer: Callable[[Change], None] | None) -> None:
        self.link: Link | None = None
        """None until the transport runs."""
        self._tally = tally
        self._observer = observer

    def begin(self, link: Link, where: str) -> None:
        """The transport runs.

        Raises:
            UsageError: it runs already.
        """
        if self.link is not None:
            raise UsageError("a transport runs once", where=where)
        self.link = link

    def tell(self, what: str, *details: object) -> None:
        """Call the link's method of this name."""
        if self.link is None:
            return
        try:
            getattr(self.link, what)(*details)
        except Exception:  # noqa: BLE001 - whatever the owner does, the connection goes on
            self.failed(what, str(details[0]))

    def changed(self, change: Change, where: str) -> None:
        """The connection is in another state."""
        if change.after is State.WAITING:
            self._tally.outages += 1
            _log.warning("%s: not connected: %s; trying again", where, change.reason)
            self.tell("disconnected", change.reason)
        if self._observer is not None:
            try:
                self._observer(change)
            except Exception:  # noqa: BLE001 - whatever the observer does, the connection goes on
                self.failed("observer", change.after)

    def failed(self, what: str, about: str) -> None:
        """It has raised what is being handled now."""
        self._tally.owner_errors += 1
        _log.exception("the owner of the connection failed in %s about %s", what, about[:120])
