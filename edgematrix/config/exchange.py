"""A matrix as the plain JSON that travels as `spec`, and back. What comes back is equal to what left."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from edgematrix.config.spec import MatrixSpec
from edgematrix.config.validation import validate
from edgematrix.errors import ConfigError, Issue

__all__ = ["dump", "load"]


def dump(spec: MatrixSpec) -> dict[str, Any]:
    """The matrix with the keys of the file, without what is as it would be anyway.

    Raises:
        ConfigError: a payload, made in Python, has no JSON form.
    """
    try:
        plain: dict[str, Any] = TypeAdapter(MatrixSpec).dump_python(spec, mode="json", by_alias=True, exclude_defaults=True)
    except PydanticSerializationError as error:
        raise ConfigError([Issue("error", f"a value of the matrix {spec.matrix} has no JSON form: {error}")]) from None
    return plain


def load(value: object) -> MatrixSpec:
    """The matrix that `dump` wrote.

    Raises:
        ConfigError: it is none.
    """
    return validate(MatrixSpec, value)
