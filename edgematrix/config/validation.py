"""A document, or a part of one, read as a model. Scenario files are read with it too."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from edgematrix.config.document import Document
from edgematrix.config.finding import issues_of, told
from edgematrix.config.yaml_position import Key
from edgematrix.errors import ConfigError

__all__ = ["at_path", "validate", "validate_document"]

M = TypeVar("M")


def validate(model: type[M], value: object, document: Document | None = None, prefix: tuple[Key, ...] = ()) -> M:
    """`value` as the pydantic model or dataclass `model`.

    Args:
        model: what it should be; its keys are known by their aliases alone.
        value: what was read.
        document: the file that it stands in, for line and column; None if there is none.
        prefix: where in the document it stands.

    Raises:
        ConfigError: it is something else. What was already wrong with the document is told too.
    """
    known = [] if document is None else document.issues
    try:
        made: M = TypeAdapter(model).validate_python(value, by_alias=True, by_name=False)
    except ValidationError as failure:
        from edgematrix.config.refusal import refusals  # noqa: PLC0415 - 4 ms that only a wrong file needs
        from edgematrix.config.shape import Shape  # noqa: PLC0415

        found = refusals(failure, value, Shape(TypeAdapter(model).json_schema(by_alias=True)))
        raise ConfigError(told([*known, *issues_of(found, document, prefix)], document)) from None
    if known:
        raise ConfigError(told(known, document))
    return made


def validate_document(model: type[M], document: Document, prefix: tuple[Key, ...] = ()) -> M:
    """The part of a document at `prefix` as `model`.

    Raises:
        ConfigError: it is something else, or the document has errors.
    """
    return validate(model, at_path(document.value, prefix), document, prefix)


def at_path(value: object, path: tuple[Key, ...]) -> object:
    """The part of `value` at `path`; None where there is none."""
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
            value = value[key]
        else:
            return None
    return value
