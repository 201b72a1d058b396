"""The audit log: who asked for what, in a chain of hashes in which nothing can be changed, taken out or put in unseen.

An entry is a line of JSON. Its hash is the SHA-256 of the line's bytes as they are without the hash, which hold the hash of the entry
before. So an edit breaks the entry's own hash, and a removal, an insertion or another order the link to the next. A cut-off end, and a
log that was written anew as a whole, show where the number and the hash of the last entry are known from elsewhere: the head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

__all__ = [
    "BEYOND",
    "DAMAGED",
    "DROPPED",
    "GENESIS",
    "OWN_VERBS",
    "TORN",
    "Entry",
    "Fact",
    "Head",
    "Outcome",
    "Trouble",
    "Verdict",
    "encode_entry",
    "read_entry",
    "shortened",
    "verify",
]

GENESIS = "0" * 64
"""What stands for the hash before the first entry."""
DROPPED = "dropped"
"""The verb of an entry that says up to where older entries are not kept any more."""
TORN = "torn"
"""The verb of an entry that says that a line was not whole when the host began."""
DAMAGED = "damaged"
"""The verb of an entry that says that the file before could not be gone on with."""
BEYOND = "beyond"
"""The verb of an entry that says how many orders came too fast to be logged each; they were refused."""
OWN_VERBS = frozenset({DROPPED, TORN, DAMAGED, BEYOND})
"""Verbs of entries that are about the log itself, and are nobody's orders."""

_ASKED_BYTES_MAX = 1_000
_PART_BYTES_MAX = 100
_NAME_LENGTH_MAX = 50
_PARTS_MAX = 10
_TEXT_LENGTH_MAX = 300
_DIGEST_LENGTH = 16
_TAIL = len(b',"hash":""}') + 64

_encode = msgspec.json.Encoder().encode


class Outcome(StrEnum):
    """What became of an order."""

    BEGUN = "begun"
    """It was written down before it was carried out; another entry says what came of it."""
    DONE = "done"
    REFUSED = "refused"


class Fact(msgspec.Struct, frozen=True):
    """What is to be logged. `at` is RFC 3339, `asked` what `shortened` has made of the order's data.

    `of` is the number of the entry with which the order was begun, 0 if it was not.
    """

    at: str
    user: str
    verb: str
    path: str
    asked: object
    outcome: Outcome
    reason: str = ""
    of: int = 0


class Head(msgspec.Struct, frozen=True):
    """The last entry of a log: its number, from 1, and its hash; 0 and `GENESIS` for an empty one."""

    n: int = 0
    hash: str = GENESIS


class _Body(msgspec.Struct, frozen=True):
    """The line without its hash, in the order of its bytes."""

    n: int
    at: str
    host: str
    user: str
    verb: str
    path: str
    asked: object
    outcome: Outcome
    reason: str
    of: int
    prev: str


class Entry(_Body, frozen=True, forbid_unknown_fields=True):
    """A line of the log."""

    hash: str

    @property
    def head(self) -> Head:
        """The head of a log that ends here."""
        return Head(self.n, self.hash)


class Trouble(msgspec.Struct, frozen=True):
    """The first thing that is wrong: in which line, from 1, of which number its entry is (0: none can be told), and what it is."""

    line: int
    n: int
    what: str


class Verdict(msgspec.Struct, frozen=True):
    """What came of a verification. `head` is that of the entries before the trouble; `first` is the number of the first entry."""

    count: int
    first: int
    head: Head
    trouble: Trouble | None = None


_decoder = msgspec.json.Decoder(Entry)


def encode_entry(fact: Fact, host: str, before: Head) -> tuple[bytes, Head]:
    """The line of an entry, with its end, and the head of the log that ends with it."""
    body = _Body(
        before.n + 1,
        fact.at,
        host,
        _cut(fact.user),
        _cut(fact.verb),
        _cut(fact.path),
        fact.asked,
        fact.outcome,
        _cut(fact.reason),
        fact.of,
        before.hash,
    )
    data = _encode(body)
    digest = hashlib.sha256(data).hexdigest()
    return data[:-1] + b',"hash":"' + digest.encode() + b'"}\n', Head(body.n, digest)


def read_entry(line: bytes) -> Entry | str:
    """An entry, from its line without the end of line; what is wrong where it is none, or its hash is not that of its bytes."""
    try:
        entry = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"it is no entry: {str(error)[:200]}"
    digest = hashlib.sha256(line[:-_TAIL] + b"}").hexdigest()
    if line[-_TAIL:] != b',"hash":"' + entry.hash.encode() + b'"}' or digest != entry.hash:
        return "it was changed: its hash is not that of its bytes"
    return entry


def verify(lines: Iterable[bytes], head: Head | None = None) -> Verdict:
    """Go through a log, oldest entry first.

    Args:
        lines: without their ends; what is torn off at the end is a line too.
        head: the last entry as it is known from elsewhere, such as from the bus. The log may have grown since.
    """
    before, first, count = Head(), 0, 0
    start = Head()
    dropped: dict[int, str] = {}
    of_head = ""
    trouble: Trouble | None = None
    for number, line in enumerate(lines, 1):
        entry = read_entry(line)
        if isinstance(entry, str):
            trouble = Trouble(number, _number_of(line), entry)
            break
        if not count:
            first, start = entry.n, Head(entry.n - 1, entry.prev)
        elif entry.n != before.n + 1:
            trouble = Trouble(number, entry.n, _gap(before.n, entry.n))
            break
        elif entry.prev != before.hash:
            trouble = Trouble(number, entry.n, f"it does not follow the entry {before.n} before it: one of them was put in or written anew")
            break
        before, count = entry.head, count + 1
        if entry.verb == DROPPED and not entry.user:  # who gives an order has a name
            dropped |= _dropped(entry)
        if head is not None and entry.n == head.n:
            of_head = entry.hash
    trouble = trouble or _beginning(start, dropped) or _end(first, before, head, of_head)
    return Verdict(count, first, before, trouble)


def shortened(value: object) -> object:
    """What was asked, as it stands in the log: at most about a kilobyte, larger parts by their size and the beginning of their hash."""
    data = _json(value)
    if len(data) <= _ASKED_BYTES_MAX:
        return msgspec.Raw(data)
    if not isinstance(value, Mapping):
        return _redacted(data)
    parts: dict[str, object] = {}
    for name, part in value.items():
        if len(parts) == _PARTS_MAX:
            parts["…"] = f"{len(value) - len(parts)} more"
            break
        encoded = _json(part)
        parts[_cut(str(name), _NAME_LENGTH_MAX)] = msgspec.Raw(encoded) if len(encoded) <= _PART_BYTES_MAX else _redacted(encoded)
    return parts


def _json(value: object) -> bytes:
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError):
        return _encode(f"no JSON: {type(value).__name__}")


def _redacted(data: bytes) -> str:
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:_DIGEST_LENGTH]}"


def _cut(text: str, length_max: int = _TEXT_LENGTH_MAX) -> str:
    """A text that has a UTF-8 form and a bound."""
    safe = text[: length_max + 1].encode("utf-8", "replace").decode()
    return safe if len(safe) <= length_max else f"{safe[: length_max - 1]}…"


def _number_of(line: bytes) -> int:
    """The number that a damaged line claims; 0 if none can be read."""
    digits = line[5:25].split(b",", 1)[0] if line.startswith(b'{"n":') else b""
    return int(digits) if digits.isdigit() else 0


def _gap(before: int, found: int) -> str:
    if found <= before:
        return f"it is out of order: it comes after the entry {before}"
    missing = f"the entry {before + 1} is" if found == before + 2 else f"the entries {before + 1} to {found - 1} are"
    return f"{missing} missing before it"


def _dropped(entry: Entry) -> dict[int, str]:
    about = entry.asked
    if isinstance(about, dict) and isinstance(about.get("until"), int) and isinstance(about.get("hash"), str):
        return {about["until"]: about["hash"]}
    return {}


def _beginning(start: Head, dropped: Mapping[int, str]) -> Trouble | None:
    """Whether what is before the first entry is not kept for a reason that the log tells."""
    if start == Head() or dropped.get(start.n) == start.hash:
        return None
    if start.n <= 0:
        return Trouble(1, start.n + 1, "it is the first one, and another one stood before it")
    return Trouble(1, start.n + 1, f"what was before it, up to the entry {start.n}, is missing, and no entry says that it was dropped")


def _end(first: int, last: Head, head: Head | None, of_head: str) -> Trouble | None:
    """Whether the log still has the entry that was the last one once."""
    if head is None or head.n == 0 or of_head == head.hash:
        return None
    if head.n > last.n:
        return Trouble(0, last.n, f"the end is cut off: the log ends with the entry {last.n}, and had {head.n}")
    if head.n < first:
        return Trouble(1, first, f"the entry {head.n}, which was the last one once, is not kept any more: it cannot be compared")
    return Trouble(0, head.n, f"the log was written anew: the entry {head.n} had the hash {head.hash[:_DIGEST_LENGTH]}…, not this one")
