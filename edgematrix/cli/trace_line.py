"""What a host tells about a trigger group, as a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from edgematrix.cli.console import plain, shorten, style
from edgematrix.cli.display import clock_time
from edgematrix.protocol.moment import parse_moment

__all__ = ["Told", "json_line", "match_name", "repeated", "text_line"]

Told = Mapping[str, object]
"""What came over the bus (`edgematrix.runtime.account`), with the agent's `path`: nothing in it is certain to be of any type."""

_KINDS = {
    "fired": ("fired", "green"),
    "not_fired": ("not fired", "bright_black"),
    "run_ended": ("run", "cyan"),
    "step_began": ("step", "cyan"),
    "step_ended": ("step", "cyan"),
    "noted": ("noted", "bright_black"),
    "dead_lettered": ("dead", "red"),
    "dropped": ("dropped", "red"),
    "stalled": ("stalled", "yellow"),
    "left_out": ("left out", "yellow"),
    "match": ("waits", "blue"),
}
_BAD_OUTCOMES = {"failed": "red", "cancelled": "yellow", "abandoned": "yellow"}
_KIND_WIDTH = 9
_PATH_WIDTH = 24
_TEXT_LENGTH_MAX = 2_000

_encode = msgspec.json.Encoder(decimal_format="number").encode


def text_line(told: Told, times: int = 1) -> str:
    """A line for people.

    Args:
        told: what happened.
        times: how often it did, one after the other.
    """
    name, colour = _KINDS.get(str(told.get("kind")), (shorten(str(told.get("kind")), _KIND_WIDTH), "yellow"))
    colour = _BAD_OUTCOMES.get(str(told.get("outcome")), colour)
    path, text = plain(str(told.get("path"))), shorten(str(told.get("text")), _TEXT_LENGTH_MAX)
    if told.get("kind") == "match":
        text = f"{match_name(told)}: {text}"
    repeats = style(f"  ({times} times)", dim=True) if times > 1 else ""
    head = f"{style(_time(told), dim=True)}  {style(plain(name).ljust(_KIND_WIDTH), fg=colour)}"
    return f"{head}  {path.ljust(_PATH_WIDTH)}  {plain(text)}{repeats}"


def json_line(told: Told) -> str:
    """A line for programs: `time`, `kind`, `path`, and the rest as the host told it."""
    head = {"time": told.get("at"), "kind": told.get("kind"), "path": told.get("path")}
    return _encode(head | {name: value for name, value in told.items() if name not in ("at", *head)}).decode()


def repeated(history: Iterable[Told]) -> Iterator[tuple[Told, int]]:
    """Put what is the same several times in a row together; the last of them stands for all."""
    last: Told | None = None
    times = 0
    for told in history:
        if last is not None and (told.get("path"), told.get("text")) == (last.get("path"), last.get("text")):
            times += 1
        else:
            if last is not None:
                yield last, times
            times = 1
        last = told
    if last is not None:
        yield last, times


def match_name(told: Told) -> str:
    """The group that a partial match is of, and its key."""
    key = told.get("key")
    return str(told.get("group")) if key is None else f"{told.get('group')}[{key}]"


def _time(told: Told) -> str:
    text = str(told.get("at"))
    try:
        return clock_time(parse_moment(text))
    except (ValueError, OverflowError, OSError):
        return plain(shorten(text, 12))
