"""What two matrices did otherwise, as a table or as lines for programs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgematrix.cli.console import plain, say, style
from edgematrix.cli.display import value_text
from edgematrix.protocol.duration import SECOND_US
from edgematrix.testing.difference import Difference
from edgematrix.testing.simulator import Seen

__all__ = ["show_as_json", "show_as_table"]

_VALUE_LENGTH_MAX = 60
_NOTHING = "—"

_encode = msgspec.json.Encoder(decimal_format="number").encode


def show_as_json(found: Sequence[Difference]) -> None:
    """One JSON object a line: `at` in seconds, `topic`, `old` and `new`; a side without the publication is null."""
    for row in found:
        say(_encode({"at": row.at_us / SECOND_US, "topic": row.topic, "old": _object(row.old), "new": _object(row.new)}).decode())


def show_as_table(found: Sequence[Difference]) -> None:
    """Time, topic, and both sides beside each other."""
    if not found:
        return
    cells = [(f"{row.at_us / SECOND_US:.10g} s", plain(row.topic), *_texts(row)) for row in found]
    widths = [max(len(cell[column]) for cell in [*cells, ("at", "topic", "old", "new")]) for column in range(4)]
    say(style(f"{'at':>{widths[0]}}  {'topic':<{widths[1]}}  {'old':<{widths[2]}}  new", dim=True))
    for at, topic, old, new in cells:
        say(f"{at:>{widths[0]}}  {topic:<{widths[1]}}  {style(old.ljust(widths[2]), fg='red')}  {style(new, fg='green')}")


def _object(seen: Seen | None) -> dict[str, object] | None:
    return None if seen is None else {"payload": seen.payload, "retain": seen.retain, "qos": seen.qos}


def _texts(row: Difference) -> tuple[str, str]:
    """Both values; what else is different is said, and what is different beyond the room is shown at length."""
    old, new = _text(row.old, _VALUE_LENGTH_MAX), _text(row.new, _VALUE_LENGTH_MAX)
    if old == new:
        old, new = _text(row.old), _text(row.new)
    if row.old is not None and row.new is not None:
        if row.old.retain != row.new.retain:
            old, new = (f"{text} ({'retained' if seen.retain else 'not retained'})" for text, seen in ((old, row.old), (new, row.new)))
        if row.old.qos != row.new.qos:
            old, new = (f"{text} (QoS {seen.qos})" for text, seen in ((old, row.old), (new, row.new)))
    return old, new


def _text(seen: Seen | None, length_max: int = 1 << 30) -> str:
    return _NOTHING if seen is None else value_text(seen.payload, length_max)
