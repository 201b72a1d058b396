"""Dead letters as hosts tell them, and as people read them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from edgematrix.cli.console import plain, shorten, style
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.moment import parse_moment

__all__ = ["Told", "outcome_line", "short_ids", "table", "whole"]

Told = Mapping[str, object]
"""A letter, or what became of it (`edgematrix.runtime.dead_desk`), as it came over the bus: nothing in it is certain to be of any type."""

_ID_LENGTH_MIN = 8
"""Of an id the end is shown: its beginning is the time, which many have in common."""
_AGENT_LENGTH_MAX = 40
_REASON_LENGTH_MIN = 30
_GAP = "  "


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """The shortest ends, of at least 8 characters, that tell these ids apart."""
    found = list(dict.fromkeys(ids))
    length = _ID_LENGTH_MIN
    while len({identity[-length:] for identity in found}) < len(found):
        length += 1
    return {identity: identity[-length:] for identity in found}


def table(letters: Sequence[Told], width: int) -> Iterator[str]:
    """A line for each letter, below a heading; the reason is cut to the width."""
    short = short_ids(str(told.get("id")) for told in letters)
    rows = [
        (
            plain(short[str(told.get("id"))]),
            _when(told.get("at")),
            shorten(plain(str(told.get("agent"))), _AGENT_LENGTH_MAX),
            plain(str(told.get("retries"))),
            plain(str(told.get("reason"))),
        )
        for told in letters
    ]
    heading = ("ID", "DIED", "AGENT", "RETRIES", "REASON")
    widths = [max(len(row[column]) for row in (heading, *rows)) for column in range(4)]
    room = max(width - sum(widths) - 4 * len(_GAP), _REASON_LENGTH_MIN)
    yield style(_row(heading, widths, room), dim=True)
    for row in rows:
        yield _row(row, widths, room)


def whole(told: Told) -> Iterator[str]:
    """All that is known of a letter."""
    yield style(plain(str(told.get("id"))), bold=True)
    names = ("agent", "topic", "reason", "at", "retries", "source", "run", "hops", "taint", "size_bytes", "host")
    for name in names:
        if told.get(name) not in (None, ""):
            value = _when(told[name], whole=True) if name == "at" else plain(str(told[name]))
            yield f"  {style(_LABELS.get(name, name).ljust(8), dim=True)}  {value}"
    retry = told.get("retry")
    if isinstance(retry, dict):
        text = str(retry.get("how")) if "how" in retry else f"not possible: {_reason(retry.get('refused'), retry.get('remedy'))}"
        yield f"  {style('retry'.ljust(8), dim=True)}  {plain(text)}"
    yield f"  {style('payload, cut' if told.get('cut') else 'payload', dim=True)}"
    for line in _pretty(told):
        yield f"    {plain(line)}"


def outcome_line(told: Told) -> str:
    """What became of a letter that was to be handled."""
    outcome = str(told.get("outcome"))
    mark = style("✓", fg="green") if outcome in ("handed_in", "dropped") else style("✗", fg="red")
    words = {
        "handed_in": f"handed in: {told.get('how')}",
        "dropped": "dropped",
        "died": f"died again: {told.get('reason')}",
        "refused": f"not retried: {_reason(told.get('reason'), told.get('remedy'))}",
    }.get(outcome, f"{outcome}: {told.get('reason')}")
    agent = f"  {plain(str(told['agent']))}" if told.get("agent") else ""
    return f"{mark} {plain(str(told.get('id')))}{agent}  {plain(words)}"


_LABELS = {"at": "died", "size_bytes": "bytes"}


def _row(row: Sequence[str], widths: Sequence[int], room: int) -> str:
    *cells, reason = row
    return _GAP.join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), shorten(reason, room)])


def _reason(what: object, remedy: object) -> str:
    return f"{what} ({remedy})" if remedy else str(what)


def _when(at: object, *, whole: bool = False) -> str:
    """A moment where this process runs: the time of day, with the date unless it is today's."""
    with suppress(ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(parse_moment(str(at)) / SECOND_US).astimezone()
        today = datetime.fromtimestamp(time.time()).astimezone().date()
        return moment.strftime("%H:%M:%S" if moment.date() == today and not whole else "%Y-%m-%d %H:%M:%S")
    return plain(str(at))


def _pretty(told: Told) -> list[str]:
    """The payload on lines of its own; what is no text in base 64."""
    if "payload_base64" in told:
        return [f"{told['payload_base64']} (base 64)"]
    payload = told.get("payload")
    if isinstance(payload, str):
        return payload.splitlines() or ['""']
    return json.dumps(payload, indent=2, ensure_ascii=False).splitlines()
