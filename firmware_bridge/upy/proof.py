"""Whether an image is from somebody whom this board believes: RSA-2048 with SHA-256 (RFC 8017, 8.2.2), or HMAC-SHA256 (RFC 2104)."""

import binascii
import hashlib

__all__ = ["HMAC", "RSA", "is_proof"]

RSA = 1
HMAC = 2
_WORDS = {RSA: "rsa-sha256", HMAC: "hmac-sha256"}
_RSA_BYTES = 256
_BLOCK_BYTES = 64
_HEAD = binascii.unhexlify("3031300d060960864801650304020105000420")
"""What stands before a SHA-256 in a signature (RFC 8017, 9.2, note 1)."""


def is_proof(keys: bytes, algorithm: int, key_id: str, data: bytes, signature: bytes) -> "bool | None":
    """Whether the owner of a key has signed these bytes; None if there is no such key.

    `keys` has a key a line: its algorithm, its id in hexadecimal, and base64 of the modulus or of the secret.
    """
    word = _WORDS.get(algorithm)
    for line in keys.decode().split("\n"):
        parts = line.split()
        if len(parts) >= 3 and parts[0] == word and parts[1] == key_id:
            key = binascii.a2b_base64(parts[2])
            return _is_rsa(key, data, signature) if algorithm == RSA else _is_hmac(key, data, signature)
    return None


def _is_rsa(key: bytes, data: bytes, signature: bytes) -> bool:
    """The public exponent is 65537: sixteen squares and a product, where `pow` with three arguments may be missing."""
    modulus = int.from_bytes(key, "big")
    number = int.from_bytes(signature, "big")
    if len(key) != _RSA_BYTES or len(signature) != _RSA_BYTES or number >= modulus:
        return False
    power = number
    for _ in range(16):
        power = power * power % modulus
    power = power * number % modulus
    tail = _HEAD + hashlib.sha256(data).digest()
    return power.to_bytes(_RSA_BYTES, "big") == b"\x00\x01" + b"\xff" * (_RSA_BYTES - 3 - len(tail)) + b"\x00" + tail


def _is_hmac(key: bytes, data: bytes, signature: bytes) -> bool:
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    key = key + bytes(_BLOCK_BYTES - len(key))
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in key]) + data).digest()
    made = hashlib.sha256(bytes([byte ^ 0x5C for byte in key]) + inner).digest()
    different = len(made) ^ len(signature)
    for one, two in zip(made, signature):  # noqa: B905 - MicroPython's knows no `strict`
        different |= one ^ two
    return not different
