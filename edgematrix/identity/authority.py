"""A certificate authority in two files: who has its key says who is who on a bus (RFC 5280)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from edgematrix.errors import UsageError
from edgematrix.identity.secret_file import read_secret, write_secret

try:
    import bcrypt  # noqa: F401 - for secrets: what is missing is told before anything is made
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    raise UsageError("identities need the packages `cryptography` and `bcrypt`", remedy="pip install edgematrix[access]") from None

__all__ = ["AUTHORITY_DAYS", "BACKDATED", "Authority", "Issued"]

AUTHORITY_DAYS = 3_650
BACKDATED = timedelta(hours=1)
"""Certificates hold from a while before they were made: the clocks of machines differ."""
_NAME_MAX = 64


class Issued(msgspec.Struct, frozen=True):
    """A certificate with its key, both as PEM, its serial number in hexadecimal, and when it ends."""

    certificate: bytes
    key: bytes
    serial: str
    ends: datetime


class Authority:
    """It signs certificates of principals and of brokers. EC keys on P-256, so that boards can check and use them.

    Times are in UTC and given by whoever calls.
    """

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def make(cls, name: str, now: datetime) -> Authority:
        """A new one, valid for ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(f"{name} authority"[:_NAME_MAX])
        builder = _builder(subject, subject, key.public_key(), now - BACKDATED, now + timedelta(days=AUTHORITY_DAYS))
        usage = _usage(signs_certificates=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(usage, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate_file: Path, key_file: Path) -> Authority:
        """Read it back.

        Raises:
            UsageError: a file is missing, damaged, or readable by others, or the two do not belong together.
        """
        remedy = "bring it back from a copy; without it a new folder with new identities has to be made"
        try:
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        except OSError as error:
            raise UsageError(
                f"the authority's certificate cannot be read: {error.strerror}", where=str(certificate_file), remedy=remedy
            ) from None
        except ValueError:
            raise UsageError("the authority's certificate is damaged", where=str(certificate_file), remedy=remedy) from None
        if not key_file.exists():
            raise UsageError("the authority's key is missing", where=str(key_file), remedy=remedy)
        try:
            key = serialization.load_pem_private_key(read_secret(key_file), password=None)
        except (ValueError, TypeError):
            raise UsageError("the authority's key is damaged, or has a password", where=str(key_file), remedy=remedy) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise UsageError("the authority's key is not that of its certificate", where=str(key_file), remedy=remedy)
        return cls(certificate, key)

    def save(self, certificate_file: Path, key_file: Path) -> None:
        """Write it: the key first, for its owner's eyes alone.

        Raises:
            UsageError: it cannot be written.
        """
        write_secret(key_file, _key_pem(self._key))
        write_secret(certificate_file, self.pem)

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def ends(self) -> datetime:
        """Until when it holds."""
        return self._certificate.not_valid_after_utc

    def check(self, now: datetime, where: str) -> None:
        """Refuse a time at which it does not hold.

        Raises:
            UsageError: the clock is before its start, or it has ended.
        """
        starts = self._certificate.not_valid_before_utc
        if now < starts:
            raise UsageError(
                f"the authority holds from {starts:%Y-%m-%d %H:%M} UTC, and the clock says {now:%Y-%m-%d %H:%M}",
                where=where,
                remedy="set this machine's clock",
            )
        if now >= self.ends:
            raise UsageError(
                f"the authority has ended on {self.ends:%Y-%m-%d}", where=where, remedy="make a new folder, with new identities"
            )

    def issue_client(self, name: str, starts: datetime, ends: datetime) -> Issued:
        """A certificate with which `name`, of at most 64 characters, proves itself to a broker. It does not outlive the authority."""
        return self._issue(name, starts, ends, ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def issue_server(self, names: Sequence[str], starts: datetime, ends: datetime) -> Issued:
        """A broker's certificate, for each of these names and IP addresses."""
        return self._issue(names[0][:_NAME_MAX], starts, ends, ExtendedKeyUsageOID.SERVER_AUTH, names)

    def revoke(self, serials: Iterable[tuple[str, datetime]], now: datetime) -> bytes:
        """The list of certificates that hold no longer, as PEM.

        The list itself holds as long as the authority: one that does not hold would shut everybody out.
        """
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._certificate.subject)
        builder = builder.last_update(self._certificate.not_valid_before_utc).next_update(self.ends)
        for serial, moment in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(moment).build()
            builder = builder.add_revoked_certificate(entry)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(identifier, critical=False).add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _issue(self, name: str, starts: datetime, ends: datetime, purpose: x509.ObjectIdentifier, names: Sequence[str]) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        ends = min(ends, self.ends)
        builder = _builder(_named(name), self._certificate.subject, key.public_key(), starts, ends)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return Issued(pem, _key_pem(key), f"{certificate.serial_number:x}", certificate.not_valid_after_utc)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, starts: datetime, ends: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(starts).not_valid_after(ends)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
