"""Which certificates of a connection end soon: its own, the broker's, and those of the authority that both rely on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from edgematrix.errors import UsageError
from edgematrix.identity.certificate import Certificate, read_certificates
from edgematrix.identity.ending import warnings_of
from edgematrix.protocol.duration import SECOND_US
from edgematrix.transport.endpoint import Endpoint

__all__ = ["Endings"]

_DAY_US = 86_400 * SECOND_US
_TOLD_MAX = 20


class Endings:
    """Looks once a day.

    Args:
        endpoint: with the paths of the certificates.
        peer: gives the broker's certificate, DER; None while nobody is connected.
        wall_us: gives the time of the wall clock.
    """

    def __init__(self, endpoint: Endpoint, peer: Callable[[], bytes | None], wall_us: Callable[[], int]) -> None:
        self.warnings: tuple[str, ...] = ()
        """What ends within 30 days, in sentences."""
        self.news: tuple[str, ...] = ()
        """What of it the last look has found."""
        self._endpoint = endpoint
        self._peer = peer
        self._wall_us = wall_us
        self._looked_us: int | None = None

    def look(self, *, anew: bool = False) -> bool:
        """Look, if that was a day ago or is asked for `anew`; whether there is something else to tell than before."""
        wall_us = self._wall_us()
        if not anew and self._looked_us is not None and 0 <= wall_us - self._looked_us < _DAY_US:
            return False
        self._looked_us = wall_us
        before, self.warnings = self.warnings, self._found(datetime.fromtimestamp(wall_us / SECOND_US, UTC))[:_TOLD_MAX]
        self.news = tuple(text for text in self.warnings if text not in before)
        return self.warnings != before

    def _found(self, now: datetime) -> tuple[str, ...]:
        found: list[tuple[str, Certificate]] = []
        trouble: list[str] = []
        for path, own in ((self._endpoint.cert, True), (self._endpoint.ca, False)):
            if path is not None:
                try:
                    read = read_certificates(Path(path).read_text(encoding="utf-8"), path)
                except (OSError, UnicodeDecodeError, UsageError) as error:
                    trouble.append(f"the certificate {path} cannot be read: {error}")
                    continue
                found += [(f"the certificate of {one.name}" if own else "the authority's certificate", one) for one in read]
        peer = self._peer()
        if peer is not None:
            with suppress(ValueError):  # TLS has read it, so it is one; of a form that is not read here nothing is told
                found.append(("the broker's certificate", Certificate.of_der(peer)))
        return (*warnings_of(found, now), *trouble)
