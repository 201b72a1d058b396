"""How a transport says that the broker refused a publication, so that it can be told from what else is dropped."""

from __future__ import annotations

__all__ = ["is_refusal", "refusal"]

_HEAD = "the broker refused it: "


def refusal(reason: str) -> str:
    """What `Link.dropped` is told of a publication that the broker refused; `reason` is the broker's."""
    return f"{_HEAD}{reason}"


def is_refusal(text: str) -> bool:
    """Whether the reason why something was dropped is that the broker refused it."""
    return text.startswith(_HEAD)
