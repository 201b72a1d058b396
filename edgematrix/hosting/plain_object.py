"""A JSON object as hosts and deployers send it."""

from __future__ import annotations

from typing import Any

import msgspec

from edgematrix.errors import CodecError

__all__ = ["plain_object"]


def plain_object(what: str, payload: bytes, bytes_max: int | None = None) -> dict[str, Any]:
    """Read one.

    Args:
        what: what it is to be, for errors.
        bytes_max: of these it may have so many; None for any number.

    Raises:
        CodecError: it is none, or too large.
    """
    if bytes_max is not None and len(payload) > bytes_max:
        raise CodecError(f"{what} has {len(payload)} bytes, at most {bytes_max} are taken")
    try:
        plain = msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise CodecError(f"{what} is no JSON: {error}") from None
    if not isinstance(plain, dict):
        raise CodecError(f"{what} is no JSON object")
    return plain
