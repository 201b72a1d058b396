"""Keys with which messages are signed (Ed25519, RFC 8032), and the public ones of everybody: `signing.key` and `keys.json` of a folder."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from edgematrix.errors import UsageError
from edgematrix.identity.secret_file import read_secret, write_secret

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
except ImportError:
    raise UsageError("signed messages need the package `cryptography`", remedy="pip install edgematrix[access]") from None

__all__ = ["ALGORITHM", "KEYS_FILE", "KEYS_MAX", "SIGNING_FILE", "KeyRing", "SigningKey", "read_key_pair", "read_keys", "write_keys"]

ALGORITHM = "ed25519"
SIGNING_FILE = "signing.key"
KEYS_FILE = "keys.json"
_VERSION = 1
_KEY_BYTES = 32
KEYS_MAX = 16
"""Public keys of one principal: the newest counts, older ones are there while what they signed is under way."""


class SigningKey:
    """A private key. It is in no `repr`."""

    algorithm = ALGORITHM

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()
        """The public key, 32 bytes."""
        self.key_id = key_id_of(self.public)

    @classmethod
    def make(cls) -> SigningKey:
        """A new one."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, folder: Path) -> SigningKey:
        """The one in a folder.

        Raises:
            UsageError: it is missing, others may read it, or it is no such key.
        """
        file = folder / SIGNING_FILE
        raw = _unpacked(read_secret(file).decode(errors="replace").strip())
        if raw is None:
            raise UsageError("is no key that messages are signed with", where=str(file), remedy="edgematrix provision … --rotate NAME")
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    def write(self, folder: Path) -> None:
        """Put it into a folder, readable by its owner alone.

        Raises:
            UsageError: it cannot be written.
        """
        write_secret(folder / SIGNING_FILE, base64.b64encode(self._key.private_bytes_raw()) + b"\n")

    def sign(self, data: bytes) -> bytes:
        """The signature of these bytes: 64 of them."""
        return self._key.sign(data)


class KeyRing:
    """The public keys of all principals.

    Args:
        keys: by the principal's name, 32 bytes each.
        deployers: who of them may say what runs.

    Raises:
        UsageError: a key is another's too, or no key.
    """

    algorithm = ALGORITHM

    def __init__(self, keys: Mapping[str, Iterable[bytes]], deployers: Iterable[str] = ()) -> None:
        self.deployers = frozenset(deployers)
        self._keys: dict[str, tuple[str, Ed25519PublicKey]] = {}
        for name, known in keys.items():
            for raw in known:
                key_id = key_id_of(raw)
                if key_id in self._keys:
                    raise UsageError(f"a key of {name} is a key of {self._keys[key_id][0]} too", remedy="each has keys of its own")
                try:
                    self._keys[key_id] = (name, Ed25519PublicKey.from_public_bytes(raw))
                except ValueError as error:
                    raise UsageError(f"a key of {name} is no public key: {error}") from None

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    def principal(self, key_id: str) -> str | None:
        """Whose key it is; None if nobody's."""
        found = self._keys.get(key_id)
        return None if found is None else found[0]

    def verify(self, key_id: str, data: bytes, signature: bytes) -> bool:
        """Whether the owner of that key has signed these bytes."""
        found = self._keys.get(key_id)
        if found is None:
            return False
        try:
            found[1].verify(signature, data)
        except InvalidSignature:
            return False
        return True


class _KeysFile(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    principals: dict[str, list[str]]
    deployers: list[str] = msgspec.field(default_factory=list)


def key_id_of(public: bytes) -> str:
    """A key's id: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def write_keys(folder: Path, keys: Mapping[str, Iterable[bytes]], deployers: Iterable[str] = ()) -> None:
    """Put the public keys of all principals into the folder of one of them.

    Args:
        keys: by name, the newest last.
        deployers: who of them may say what runs.

    Raises:
        UsageError: it cannot be written.
    """
    written = {name: [base64.b64encode(raw).decode() for raw in known] for name, known in keys.items()}
    told = _KeysFile(_VERSION, written, list(deployers))
    write_secret(folder / KEYS_FILE, msgspec.json.format(msgspec.json.encode(told)) + b"\n")


def read_keys(folder: Path) -> KeyRing:
    """The public keys of all principals. Who may change them decides who is believed, so the file is its owner's alone.

    Raises:
        UsageError: the file is missing, others may read it, or it cannot be read.
    """
    file = folder / KEYS_FILE
    try:
        found = msgspec.json.decode(read_secret(file), type=_KeysFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=str(file), remedy="edgematrix provision writes it") from None
    if found.v != _VERSION:
        raise UsageError(f"is of version {found.v}, expected {_VERSION}", where=str(file), remedy="edgematrix provision writes it anew")
    keys: dict[str, list[bytes]] = {}
    for name, texts in found.principals.items():
        known = [_unpacked(text) for text in texts]
        if None in known or len(known) > KEYS_MAX:
            raise UsageError(f"the keys of {name} are no public keys, or more than {KEYS_MAX}", where=str(file))
        keys[name] = [raw for raw in known if raw is not None]
    return KeyRing(keys, found.deployers)


def read_key_pair(folder: Path, name: str = "") -> tuple[SigningKey, KeyRing]:
    """The key of a principal, and the public ones of all.

    Args:
        name: whose it has to be; empty for anybody's that is known.

    Raises:
        UsageError: they are missing, others may read them, or the key is somebody else's.
    """
    key, ring = SigningKey.read(folder), read_keys(folder)
    owner = ring.principal(key.key_id)
    if owner is None or owner != (name or owner):
        whose = f"the key of {owner}" if owner else "nobody's that is known"
        raise UsageError(
            f"it is {whose}{f', and this is {name}' if name else ''}", where=str(folder), remedy="each has a folder with keys of its own"
        )
    return key, ring


def _unpacked(text: str) -> bytes | None:
    """32 bytes that are written in base64."""
    if not re.fullmatch(r"[A-Za-z0-9+/]{43}=", text):
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return raw if len(raw) == _KEY_BYTES else None
