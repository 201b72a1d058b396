"""What a check of a group's definition found."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Finding", "error", "warning"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong (`error`) or looks wrong (`warning`).

    `path` is where in the group's definition, as in `("on", "temp", "above")`; empty for the group as a whole.
    """

    severity: Literal["error", "warning"]
    what: str
    path: tuple[str, ...] = ()
    remedy: str = ""


def error(what: str, *path: str, remedy: str = "") -> Finding:
    """Something that keeps the group from being used."""
    return Finding("error", what, path, remedy)


def warning(what: str, *path: str, remedy: str = "") -> Finding:
    """Something that is probably not meant."""
    return Finding("warning", what, path, remedy)
