"""Reads definitions, and what a course said."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter

from edgematrix.composition.course import Effect, Emit, Fail, Finish, Invoke, Note

Spec = TypeVar("Spec")


def read(kind: type[Spec], **fields: Any) -> Spec:
    """A definition as a file has it."""
    return TypeAdapter(kind).validate_python(fields)


def emitted(effects: list[Effect]) -> dict[str, object]:
    """What was put out, by port."""
    return {effect.port: effect.value for effect in effects if isinstance(effect, Emit)}


def invoked(effects: list[Effect]) -> Invoke:
    """The only call that is to be made."""
    (found,) = [effect for effect in effects if isinstance(effect, Invoke)]
    return found


def notes(effects: list[Effect]) -> str:
    """What whoever watches is told."""
    return "\n".join(str(effect.what) for effect in effects if isinstance(effect, Note))


def failure(effects: list[Effect]) -> Fail:
    """How it failed; nothing may follow."""
    assert isinstance(effects[-1], Fail), effects
    return effects[-1]


def finished(effects: list[Effect]) -> bool:
    """Whether it went well to the end."""
    return isinstance(effects[-1], Finish)
