"""What goes to the terminal: colours where they are welcome, and no control characters from outside."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import typer

__all__ = ["complain", "plain", "say", "shorten", "style", "wants_colour", "write"]

style = typer.style


def say(text: str = "") -> None:
    """Print a line on standard output."""
    typer.echo(text, color=wants_colour(sys.stdout))


def write(text: str) -> None:
    """Print on standard output what may be less than a line, or more."""
    typer.echo(text, nl=False, color=wants_colour(sys.stdout))


def complain(text: str = "") -> None:
    """Print a line on standard error."""
    typer.echo(text, err=True, color=wants_colour(sys.stderr))


def wants_colour(stream: TextIO) -> bool:
    """Whether colours are written on `stream` (no-color.org, force-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def plain(text: str) -> str:
    """`text` on one line, harmless for a terminal: what comes from the bus may hold anything."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def shorten(text: str, length_max: int) -> str:
    """`text`, cut with a mark if it is longer."""
    return text if len(text) <= length_max else text[: length_max - 1] + "…"


def _escape(letter: str) -> str:
    known = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(letter)
    if known is not None:
        return known
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - the widths of Python's escapes
