"""When a certificate holds, and whose it is, read from its bytes without a library: hosts have none for it.

DER of X.509 (RFC 5280, 4.1) as far as that needs: the tags and lengths of X.690, and two forms of time.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import msgspec

from edgematrix.errors import UsageError

__all__ = ["Certificate", "read_certificates"]

_SEQUENCE = 0x30
_VERSION = 0xA0
_UTC_TIME = 0x17
_GENERAL_TIME = 0x18
_COMMON_NAME = bytes.fromhex("0603550403")
_LONG = 0x80
_LENGTH_BYTES_MAX = 4
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_CERTIFICATES_MAX = 1_000
_CENTURY_TURNS = 50
"""Years of two digits below this are of the 21st century (RFC 5280, 4.1.2.5.1)."""


class Certificate(msgspec.Struct, frozen=True):
    """Whose it is (the common name; empty if there is none), and from when until when it holds, in UTC."""

    name: str
    starts: datetime
    ends: datetime

    @classmethod
    def of_der(cls, der: bytes) -> Certificate:
        """Read the bytes of one.

        Raises:
            ValueError: they are no certificate.
        """
        try:
            parts = list(_parts(_only(_only(der))))
            if parts[0][0] == _VERSION:
                parts = parts[1:]
            validity, subject = parts[3], parts[4]
            if validity[0] != _SEQUENCE or subject[0] != _SEQUENCE:
                raise ValueError("it has no validity")
            starts, ends = (_moment(tag, content) for tag, content in _parts(validity[1]))
        except (IndexError, UnicodeDecodeError) as error:
            raise ValueError(f"it is no certificate: {error}") from None
        return cls(_common_name(subject[1]), starts, ends)


def read_certificates(pem: str, where: str) -> list[Certificate]:
    """All of a PEM file; none of something else that stands in it.

    Args:
        pem: the file's text.
        where: the file's name, for what is refused.

    Raises:
        UsageError: one cannot be read, or there are more than 1,000.
    """
    found: list[Certificate] = []
    for piece in pem.split(_BEGIN)[1:]:
        try:
            found.append(Certificate.of_der(ssl.PEM_cert_to_DER_cert(f"{_BEGIN}{piece.partition(_END)[0]}{_END}")))
        except ValueError as error:
            raise UsageError(f"holds a certificate that cannot be read: {error}", where=where) from None
        if len(found) > _CERTIFICATES_MAX:
            raise UsageError(f"holds more than {_CERTIFICATES_MAX} certificates", where=where)
    return found


def _only(der: bytes) -> bytes:
    """What the first part of these bytes holds."""
    for tag, content in _parts(der):
        if tag == _SEQUENCE:
            return content
        break
    raise ValueError("it is no certificate")


def _parts(der: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents, one after the other."""
    found, at = [], 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & _LONG:
            size = length & ~_LONG
            if not 0 < size <= _LENGTH_BYTES_MAX:
                raise ValueError("a length cannot be read")
            length, at = int.from_bytes(der[at : at + size]), at + size
        if at + length > len(der):
            raise ValueError("it ends too soon")
        found.append((tag, der[at : at + length]))
        at += length
    return found


def _moment(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = f"{'20' if int(text[:2]) < _CENTURY_TURNS else '19'}{text}"
    elif tag != _GENERAL_TIME:
        raise ValueError("a time cannot be read")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _common_name(subject: bytes) -> str:
    at = subject.find(_COMMON_NAME)
    if at < 0:
        return ""
    (_, content), *_ = _parts(subject[at + len(_COMMON_NAME) :][: 2 + subject[at + len(_COMMON_NAME) + 1]])
    return content.decode("utf-8", errors="replace")
