"""The stored form of values and small records: MessagePack, with whole numbers beyond 64 bits as an extension."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from edgematrix.errors import StateError

__all__ = ["pack", "unpack"]

T = TypeVar("T")

_BIG_WHOLE = 1
"""The extension type of a whole number beyond 64 bits, as hexadecimal text."""

_encode = msgspec.msgpack.Encoder().encode


def pack(value: object) -> bytes:
    """The bytes of a value.

    Raises:
        StateError: it has no stored form.
    """
    try:
        return _encode(value)
    except OverflowError:
        pass  # a number beyond 64 bits is rare, and looking for it is slow
    except (TypeError, ValueError, RecursionError) as error:
        raise StateError(f"it has no stored form: {error}") from None
    try:
        return _encode(_wide(msgspec.to_builtins(value, builtin_types=(bytes,))))
    except (OverflowError, TypeError, ValueError, RecursionError) as error:
        raise StateError(f"it has no stored form: {error}") from None


def unpack(data: bytes, kind: type[T]) -> T:
    """What `pack` made bytes of.

    Raises:
        StateError: it is damaged, or nothing of this type.
    """
    try:
        found: T = msgspec.msgpack.decode(data, type=kind, ext_hook=_whole)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise StateError(f"it is damaged: {error}") from None
    return found


def _wide(value: Any) -> Any:
    if type(value) is int and not -(2**63) <= value < 2**64:
        return msgspec.msgpack.Ext(_BIG_WHOLE, f"{value:x}".encode())
    if isinstance(value, dict):
        return {key: _wide(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_wide(part) for part in value]
    return value


def _whole(code: int, data: memoryview) -> object:
    if code != _BIG_WHOLE:
        raise ValueError(f"unknown extension type {code}")
    return int(bytes(data), 16)
