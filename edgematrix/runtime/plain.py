"""What agents' code hands in, as the JSON value that it is: whatever is not one must not get among what the host stores and sends."""

from __future__ import annotations

import msgspec
from pydantic import BaseModel

from edgematrix.errors import RunError
from edgematrix.runtime.failure import reason_of

__all__ = ["plain"]

_write = msgspec.json.Encoder().encode


def plain(value: object) -> object:
    """The value as JSON has it (bytes as they are): models and dataclasses as objects, moments as text, sets as arrays.

    Raises:
        RunError: it has no JSON form, as an object of one's own, a ring, or half a surrogate.
    """
    kind = type(value)
    if value is None or kind is bool or kind is int or kind is float or kind is bytes or (kind is str and value.isascii()):  # type: ignore[attr-defined]  # `kind` tells
        return value
    try:
        found = msgspec.to_builtins(value, builtin_types=(bytes,), str_keys=True, enc_hook=_of_model)
        _write(found)
    except Exception as error:  # noqa: BLE001 - models have code of their own
        raise RunError(f"a value of type {kind.__name__} has no JSON form: {reason_of(error)}") from None
    return found


def _of_model(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is no JSON value")
