"""Devices that ESPHome builds: the header that reads their commands, and a bridge for those that speak ESPHome's native API."""

from __future__ import annotations

from pathlib import Path

__all__ = ["header"]


def header() -> str:
    """The text of `edgematrix.h`."""
    return (Path(__file__).parent / "edgematrix.h").read_text(encoding="utf-8")
