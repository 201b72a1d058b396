"""The request of a composite that has no ports of its own to tell apart: what its one input got."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["passed_on", "request_of"]


def request_of(inputs: Mapping[str, object]) -> object:
    """The value of the only input; of several, an object of their values by port; None without any."""
    if len(inputs) == 1:
        return next(iter(inputs.values()))
    return dict(inputs) if inputs else None


def passed_on(inputs: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    """The same for a member: one value goes to its default input, several go to inputs of their names."""
    return tuple(inputs.items()) if len(inputs) > 1 else (("", request_of(inputs)),)
