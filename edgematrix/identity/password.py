"""Secrets of principals, and the forms in which brokers know them."""

from __future__ import annotations

import base64
import hashlib
import secrets

from edgematrix.errors import UsageError

__all__ = ["mosquitto_hash", "nats_hash", "new_client_id", "new_password"]

_PASSWORD_BYTES = 32
_SALT_BYTES = 12
_HASH_BYTES = 64
_ITERATIONS = 101
"""As mosquitto_passwd has it. A secret of 256 random bits is not guessed, however fast a guess is."""
_NATS_ROUNDS = 4
"""2**4, the fewest that bcrypt knows, for the same reason: after a restart of the broker all come back at once."""
_CLIENT_ID_BYTES = 12


def new_password() -> str:
    """32 random bytes, in letters that stand anywhere in an address."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def new_client_id(prefix: str) -> str:
    """A client id that nobody guesses: where a broker binds none to a user, this keeps others from taking it."""
    return f"{prefix}{secrets.token_hex(_CLIENT_ID_BYTES)}"


def mosquitto_hash(password: str, salt: bytes | None = None, iterations: int = _ITERATIONS) -> str:
    """What follows `user:` in mosquitto's password file: `$7$iterations$salt$hash`, PBKDF2 with SHA-512, as `mosquitto_passwd` 2.0 has it.

    Args:
        password: in UTF-8.
        salt: 12 bytes; None draws them.
        iterations: of PBKDF2.
    """
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, _HASH_BYTES)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def nats_hash(password: str) -> str:
    """bcrypt, as nats-server reads it.

    Raises:
        UsageError: the package is not installed.
    """
    try:
        import bcrypt  # noqa: PLC0415 - of the extra `access`, and only who makes secrets needs it
    except ImportError:
        raise UsageError("secrets need the package `bcrypt`", remedy="pip install edgematrix[access]") from None
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=_NATS_ROUNDS, prefix=b"2a")).decode()
