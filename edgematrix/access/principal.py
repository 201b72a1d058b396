"""Who is let in by a broker: hosts, devices that connect by themselves, operators, and clients of other systems."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from edgematrix.access.grant import Grants

__all__ = ["NAME_LENGTH_MAX", "Principal", "Role", "principal_name"]

NAME_LENGTH_MAX = 64
"""Characters that a certificate's common name holds (X.520, ub-common-name)."""
_HASH_LENGTH = 12
_HEAD_LENGTH = NAME_LENGTH_MAX - _HASH_LENGTH - 1


class Role(StrEnum):
    """What kind of principal one is."""

    HOST = "host"
    DEVICE = "device"
    OPERATOR = "operator"
    CLIENT = "client"


class Principal(msgspec.Struct, frozen=True):
    """One of them: `name` is the user that it connects as, `subject` is what it stands for, and `grants` what it may do.

    The subject of a device is its path; of all others it is the name.
    """

    name: str
    role: Role
    subject: str
    grants: Grants


def principal_name(role: Role, subject: str) -> str:
    """The user name of a principal.

    A device's is its path with `.` for `/`; one that is longer than a certificate's name can be ends in the first 12 hexadecimal digits
    of the path's SHA-256. No other principal's name holds a `.`. (A `:` would end the name in mosquitto's password file.)
    """
    if role is not Role.DEVICE:
        return subject
    name = subject.replace("/", ".")
    if len(name) <= NAME_LENGTH_MAX:
        return name
    return f"{name[:_HEAD_LENGTH]}~{hashlib.sha256(subject.encode()).hexdigest()[:_HASH_LENGTH]}"
