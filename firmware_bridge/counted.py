"""What has been counted, as a state tells it."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["counted"]


def counted(counts: Mapping[str, int]) -> dict[str, int]:
    """Those that are not 0, by name."""
    return {name: count for name, count in sorted(counts.items()) if count}
