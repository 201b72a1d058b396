"""Values to bare payloads and back, as the host reads them (docs/spec/topics.md, "Messages")."""

import json

__all__ = ["decode", "encode"]


def encode(value: object) -> bytes:
    """Bytes and text as they are, the rest as JSON.

    Raises:
        ValueError: it has no JSON form: NaN, an infinity, an unknown type, a key that is no text.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    _check(value)
    return json.dumps(value).encode()


def decode(payload: bytes) -> object:
    """JSON as its value, other UTF-8 as text, the rest as the bytes they are.

    MicroPython's reader is laxer than the host's: it takes `01` for 1 and `[1 2]` for `[1, 2]`.
    """
    try:
        text = str(payload, "utf-8")
    except UnicodeError:
        return payload
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check(value: object) -> None:
    """What the JSON writer of MicroPython would write without a word, though nobody could read it."""
    if value is None or isinstance(value, (bool, int, str)):
        return
    if isinstance(value, float):
        if value - value != 0.0:
            raise ValueError("%s is no JSON number" % value)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _check(part)
    elif isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                raise ValueError("a key of JSON is a text, found %s" % type(key).__name__)
            _check(part)
    else:
        raise ValueError("%s has no JSON form" % type(value).__name__)
