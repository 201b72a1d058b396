"""Values, and what a level asks for, in a few characters."""

from __future__ import annotations

import json
from typing import Any, Final

from edgematrix.triggers.spec import SourceSpec

__all__ = ["asked", "short"]

_VALUE_LENGTH_MAX: Final = 40


def asked(spec: SourceSpec) -> str:
    """What a level asks for, such as `> 25`; empty if it is none."""
    if spec.equals is not None:
        return f"= {short(spec.equals)}"
    if spec.not_ is not None:
        return f"≠ {short(spec.not_)}"
    bounds = [f"> {spec.above:g}" if spec.above is not None else "", f"< {spec.below:g}" if spec.below is not None else ""]
    return " and ".join(bound for bound in bounds if bound)


def short(value: Any) -> str:
    """A value as JSON, cut where it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = str(type(value))
    return text if len(text) <= _VALUE_LENGTH_MAX else text[: _VALUE_LENGTH_MAX - 1] + "…"
