"""A question with a few possible answers, as a model's process is asked it."""

from __future__ import annotations

import msgspec

__all__ = ["Choice", "Choose"]


class Choose(msgspec.Struct, frozen=True, tag="choose"):
    """What `Model.choose` takes."""

    role: str
    prompt: str
    choices: tuple[str, ...]


class Choice(msgspec.Struct, frozen=True):
    """The place of a choice among those of the question."""

    place: int
