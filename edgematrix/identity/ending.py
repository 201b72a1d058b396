"""What ends soon: a pure function of certificates and the time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from edgematrix.identity.certificate import Certificate

__all__ = ["WARNED_AHEAD", "warnings_of"]

WARNED_AHEAD = timedelta(days=30)
"""So long before a certificate ends it is told: time enough to make another one and bring it where it belongs."""


def warnings_of(certificates: Iterable[tuple[str, Certificate]], now: datetime) -> tuple[str, ...]:
    """What is to be told of certificates that end within 30 days, have ended, or do not hold yet, each once, soonest end first.

    Args:
        certificates: each with what it is called in a sentence, as `the certificate of pi-kitchen`.
        now: with its time zone.
    """
    told: dict[str, None] = {}
    for name, certificate in sorted(certificates, key=lambda found: found[1].ends):
        if now < certificate.starts:
            told[f"{name} holds from {_day(certificate.starts)} only: is this machine's clock right?"] = None
        elif now >= certificate.ends:
            told[f"{name} has ended on {_day(certificate.ends)}"] = None
        elif certificate.ends - now <= WARNED_AHEAD:
            told[f"{name} ends on {_day(certificate.ends)}"] = None
    return tuple(told)


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
