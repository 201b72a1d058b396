"""A matrix as the plain JSON that travels as `spec`, and back. What comes back is equal to what left."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.config.validation import validate
from edgematrix.errors import ConfigError, Issue

__all__ = ["dump", "dump_agent", "load", "read", "write"]


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


def write(spec: MatrixSpec) -> bytes:
    """The matrix as bytes: `dump`, as JSON. The same definition gives the same bytes.

    Raises:
        ConfigError: a payload, made in Python, has no JSON form.
    """
    try:
        return TypeAdapter(MatrixSpec).dump_json(spec, by_alias=True, exclude_defaults=True)
    except PydanticSerializationError as error:
        raise ConfigError([Issue("error", f"a value of the matrix {spec.matrix} has no JSON form: {error}")]) from None


def read(data: bytes) -> MatrixSpec:
    """The matrix that `write` wrote.

    Raises:
        ConfigError: it is none.
    """
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise ConfigError([Issue("error", f"the definition is no JSON: {error}")]) from None
    if isinstance(value, dict) and isinstance(value.get("agents"), dict):
        # One by one: of 10,000 at once, all other threads would stand still for 200 ms.
        value["agents"] = {name: validate(AgentSpec, agent) for name, agent in value["agents"].items()}
    return load(value)


def dump_agent(agent: AgentSpec) -> dict[str, Any]:
    """The definition of one agent, without those below it, as it travels as `spec`.

    Raises:
        ConfigError: a payload, made in Python, has no JSON form.
    """
    try:
        plain: dict[str, Any] = TypeAdapter(AgentSpec).dump_python(
            agent, mode="json", by_alias=True, exclude_defaults=True, exclude={"agents"}
        )
    except PydanticSerializationError as error:
        raise ConfigError([Issue("error", f"a value of an agent has no JSON form: {error}")]) from None
    return plain
