"""Keeps the values of secrets out of texts that leave: reasons, observations, log lines."""

from __future__ import annotations

import json
import logging
import re
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus
from weakref import WeakSet

from edgematrix.identity.secret import HIDDEN, Secret

__all__ = ["LENGTH_MIN", "VALUES_MAX", "Redaction", "guard_logs", "release_logs"]

LENGTH_MIN = 4
"""Characters of a value that is looked for in texts: a shorter one stands in any text."""
VALUES_MAX = 1_000
"""Values that are looked for; the oldest give way, such as those that were replaced long ago."""


class Redaction:
    """The values that are known, as they are and as they are commonly written: in JSON, Python, a URL, base64."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, str] = OrderedDict()
        """The name of each value."""
        self._forms: dict[str, str] = {}
        """The name of what is looked for."""
        self._pattern: re.Pattern[str] | None = None
        self._learning = Lock()  # code of agents runs in threads too

    def learn(self, secret: Secret) -> None:
        """Look for this value too from now on."""
        value = secret.reveal()
        if value in self._values or len(value) < LENGTH_MIN:
            return
        with self._learning:
            self._values[value] = secret.name
            while len(self._values) > VALUES_MAX:
                self._values.popitem(last=False)
            forms = {form: name for known, name in self._values.items() for form in _forms(known)}
            longest_first = sorted(forms, key=len, reverse=True)
            self._forms |= forms  # before the pattern that finds them
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
            self._forms = forms

    def text(self, text: str) -> str:
        """The text with `***` for each value in it."""
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)

    def veiled(self, value: object) -> object:
        """A JSON value with `***` for each value of a secret in its texts, keys and numbers."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.veiled(key): self.veiled(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.veiled(part) for part in value]
        return HIDDEN if self.found_in(value) else value

    def found_in(self, value: object) -> str:
        """The name of a secret that a value holds; empty if it holds none."""
        return next((name for part in _parts(value) if (name := self._in_part(part))), "")

    def _in_part(self, part: object) -> str:
        if isinstance(part, Secret):
            return part.name
        if isinstance(part, (bytes, bytearray)):
            part = bytes(part).decode(errors="replace")
        if isinstance(part, str):
            found = None if self._pattern is None else self._pattern.search(part)
            return "" if found is None else self._forms[found[0]]
        if isinstance(part, (int, float)) and not isinstance(part, bool):
            return self._values.get(str(part), "")
        return ""


def guard_logs(redaction: Redaction) -> None:
    """Keep the values out of every log line of this process, whoever writes it, until `release_logs`, or until nobody holds it."""
    global _former  # noqa: PLW0603 - log records are made in one place for the whole process
    if _former is None:
        _former = logging.getLogRecordFactory()
        logging.setLogRecordFactory(_record)
    _guarding.add(redaction)


def release_logs(redaction: Redaction) -> None:
    """Undo `guard_logs`; does nothing where that was not called."""
    global _former  # noqa: PLW0603 - see above
    _guarding.discard(redaction)
    if not _guarding and _former is not None and logging.getLogRecordFactory() is _record:  # else somebody calls ours, and goes on
        logging.setLogRecordFactory(_former)
        _former = None


_guarding: WeakSet[Redaction] = WeakSet()
_former: Callable[..., logging.LogRecord] | None = None


def _record(*arguments: Any, **named: Any) -> logging.LogRecord:
    """Make a record, without the values."""
    record = (_former or logging.LogRecord)(*arguments, **named)
    for redaction in tuple(_guarding):
        _clean(record, redaction)
    return record


def _clean(record: logging.LogRecord, redaction: Redaction) -> None:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - whatever a format raises is shown with its arguments by whoever writes it
        message = f"{record.msg} {record.args!r}"
        record.msg, record.args = message, ()
    shown = redaction.text(message)
    if shown != message:
        record.msg, record.args = shown, ()
    if record.exc_info and record.exc_info[0] is not None:
        told = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        shown = redaction.text(told)
        if shown != told:
            record.exc_info, record.exc_text = None, shown
    if record.exc_text:
        record.exc_text = redaction.text(record.exc_text)
    if record.stack_info:
        record.stack_info = redaction.text(record.stack_info)


def _forms(value: str) -> set[str]:
    """A value in all the ways in which it is looked for."""
    data = value.encode()
    written = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        b64encode(data).decode().rstrip("="),
        urlsafe_b64encode(data).decode().rstrip("="),
        repr(data)[2:-1],
    }
    return {form for form in written if len(form) >= LENGTH_MIN}


def _parts(value: object) -> Iterator[object]:
    """All that a JSON value holds, keys too; what holds itself is looked at once."""
    waiting, seen = [value], set[int]()
    while waiting:
        part = waiting.pop()
        if isinstance(part, (Mapping, list, tuple, set, frozenset)):
            if id(part) in seen:
                continue
            seen.add(id(part))
            if isinstance(part, Mapping):
                waiting += part.keys()
                waiting += part.values()
            else:
                waiting += part
        else:
            yield part
