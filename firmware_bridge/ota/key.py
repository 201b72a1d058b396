"""Keys that sign images: RSA-2048 (a PEM file, as openssl has it) or a secret for HMAC; and the line by which a board knows one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from edgematrix.errors import UsageError
from edgematrix.identity.secret_file import read_secret, write_secret
from firmware_bridge.ota.image import Proof

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["HmacKey", "RsaKey", "make_key", "read_key"]

_BITS = 2048
_BYTES = _BITS // 8
_EXPONENT = 65537
_HMAC_WORD = "hmac-sha256"
_SECRET_BYTES = 32
_SECRET_BYTES_MAX = 64


class RsaKey:
    """RSA-2048 with SHA-256 (RFC 8017, RSASSA-PKCS1-v1_5). It is in no `repr`."""

    algorithm = 1

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key
        self._modulus = key.public_key().public_numbers().n.to_bytes(_BYTES, "big")

    @property
    def key_id(self) -> bytes:
        """The first 8 bytes of the modulus' SHA-256."""
        return hashlib.sha256(self._modulus).digest()[:8]

    @property
    def line(self) -> str:
        """What a board is told, in its file `update.keys`. It is no secret."""
        return f"rsa-sha256 {self.key_id.hex()} {base64.b64encode(self._modulus).decode()}"

    def sign(self, data: bytes) -> Proof:
        """The proof of these bytes."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - only who signs needs it
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

        return Proof(self.algorithm, self.key_id, self._key.sign(data, PKCS1v15(), SHA256()))


class HmacKey:
    """A secret that the board has too: whoever reads a board's flash can sign for all that have it."""

    algorithm = 2

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @property
    def key_id(self) -> bytes:
        """The first 8 bytes of the secret's SHA-256."""
        return hashlib.sha256(self._secret).digest()[:8]

    @property
    def line(self) -> str:
        """What a board is told, in its file `update.keys`. It holds the secret."""
        return f"{_HMAC_WORD} {self.key_id.hex()} {base64.b64encode(self._secret).decode()}"

    def sign(self, data: bytes) -> Proof:
        """The proof of these bytes."""
        return Proof(self.algorithm, self.key_id, hmac.digest(self._secret, data, "sha256"))


def make_key(file: Path, *, is_hmac: bool = False) -> RsaKey | HmacKey:
    """Make a key and put it into a file that its owner alone may read.

    Raises:
        UsageError: a file is there already, or it cannot be written; the package `cryptography` is missing.
    """
    if file.exists():
        raise UsageError("is there already, and boards may believe it", where=str(file), remedy="name another file")
    if is_hmac:
        secret = HmacKey(secrets.token_bytes(_SECRET_BYTES))
        write_secret(file, f"{secret.line}\n")
        return secret
    _need_cryptography()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only who signs needs it
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = rsa.generate_private_key(_EXPONENT, _BITS)
    form = serialization.PrivateFormat.PKCS8
    write_secret(file, key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return RsaKey(key)


def read_key(file: Path) -> RsaKey | HmacKey:
    """The key in a file: a PEM file without a passphrase, or the line of a secret.

    Raises:
        UsageError: it is missing, others may read it, or it is no key of this kind.
    """
    data = read_secret(file)
    remedy = "edgematrix firmware key makes one"
    if data.startswith(_HMAC_WORD.encode()):
        try:
            secret = base64.b64decode(data.split()[2], validate=True)
        except (IndexError, binascii.Error):
            secret = b""
        if not _SECRET_BYTES <= len(secret) <= _SECRET_BYTES_MAX:
            raise UsageError("is no secret that images are signed with", where=str(file), remedy=remedy)
        return HmacKey(secret)
    _need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - only who signs needs it
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415

    try:
        key = serialization.load_pem_private_key(data, None)
    except TypeError:
        raise UsageError("has a passphrase", where=str(file), remedy="openssl pkey -in FILE -out NEW takes it off") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError("is no key that images are signed with", where=str(file), remedy=remedy) from None
    if not isinstance(key, RSAPrivateKey) or key.key_size != _BITS or key.public_key().public_numbers().e != _EXPONENT:
        raise UsageError("is no RSA key of 2048 bits with the exponent 65537", where=str(file), remedy=remedy)
    return RsaKey(key)


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401, PLC0415 - whether it is there
    except ImportError:
        raise UsageError("RSA needs the package `cryptography`", remedy="pip install edgematrix[access], or --hmac") from None
