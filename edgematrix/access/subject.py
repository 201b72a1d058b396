"""MQTT topics as subjects of NATS (https://docs.nats.io, "MQTT", "Topics and subjects"; tried on nats-server 2.15).

A level is a token: `/` becomes `.`, a dot in a level becomes `//`, an empty level becomes `/`. `+` is `*`, and `a/#` is `a` and `a.>`.
"""

from __future__ import annotations

from edgematrix.errors import TopicError
from edgematrix.protocol.overlap import check_subscription

__all__ = ["subjects"]

_FORBIDDEN = {" ": "a space", "\t": "a tabulator", "*": "*", ">": ">"}
"""A blank ends the connection of who uses it; `*` and `>` in a level are wildcards of NATS, which match more than MQTT's filter does."""
_ITS_OWN = ("$", "_INBOX")
_WILDCARDS = {"+": "*", "#": ">", "": "/"}


def subjects(topic_filter: str) -> tuple[str, ...]:
    """The subjects that stand for a topic or filter: two where it ends in `#`, as `#` takes in the level above.

    Raises:
        TopicError: NATS has no subject that matches the same, or the topics are the server's own.
    """
    check_subscription(topic_filter)
    for character, name in _FORBIDDEN.items():
        if character in topic_filter:
            raise TopicError(f"{topic_filter[:120]!r} holds {name}, which no topic may on NATS")
    if any(character < " " or character == "\x7f" for character in topic_filter):
        raise TopicError(f"{topic_filter[:120]!r} holds a control character, which no topic may on NATS")
    levels = topic_filter.split("/")
    if levels[0].startswith(_ITS_OWN) or levels == ["#"]:
        raise TopicError(f"{topic_filter[:120]!r} reaches subjects that NATS needs for itself", remedy="name the first level of the topic")
    tokens = [_WILDCARDS.get(level, level.replace(".", "//")) for level in levels]
    whole = ".".join(tokens)
    return (".".join(tokens[:-1]), whole) if tokens[-1] == ">" else (whole,)
