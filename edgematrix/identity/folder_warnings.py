"""What ends soon in an access folder."""

from __future__ import annotations

from datetime import datetime

from edgematrix.errors import UsageError
from edgematrix.identity.access_folder import AccessFolder
from edgematrix.identity.certificate import Certificate, read_certificates
from edgematrix.identity.ending import warnings_of
from edgematrix.identity.registry import Registry

__all__ = ["access_warnings"]


def access_warnings(folder: AccessFolder, registry: Registry, now: datetime) -> tuple[str, ...]:
    """Of the authority, the broker's certificate, and of each principal's newest one.

    Raises:
        UsageError: a certificate is missing or cannot be read.
    """
    found: list[tuple[str, Certificate]] = []
    for name, file in (("the authority's certificate", folder.authority), ("the broker's certificate", folder.broker / "server.pem")):
        try:
            pem = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{name} cannot be read: {error}", where=str(file), remedy="edgematrix provision") from None
        found += [(name, one) for one in read_certificates(pem, str(file))]
    for entry in registry.principals:
        newest = entry.generations[-1] if entry.generations else None
        if newest is not None and newest.ends is not None and newest.revoked is None:
            found.append((f"the certificate of {entry.name}", Certificate(entry.name, newest.made, newest.ends)))
    return warnings_of(found, now)
