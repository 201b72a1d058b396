"""The edge that an event belongs to: who sends, and what it is sent to (docs/spec/topics.md, "Delivery")."""

from __future__ import annotations

from functools import lru_cache

from edgematrix.errors import PathError, TopicError
from edgematrix.protocol.path import check_name, parse_path
from edgematrix.protocol.topic import Kind, parse_topic, topic_for

__all__ = ["edge_of", "sender_of", "topic_of"]

_EDGES_MAX = 8_192


@lru_cache(_EDGES_MAX)
def edge_of(source: str, topic: str, root: str) -> str:
    """The edge of an event of the agent at `source` on a topic: `home/a.out` (an output), `home/a>home/b.in` (work for a port).

    Raises:
        TopicError: the topic is neither an `out` nor an `in` below `root`, or `source` is no path.
    """
    try:
        out_head = f"{root}/{Kind.OUT}/"
        if topic.startswith(out_head):  # the port may be the one that tells the end of a call: a name with `_` before it
            path, _, port = topic.removeprefix(out_head).rpartition("/")
            check_name(port.removeprefix("_"), "port")
            return f"{parse_path(path)}.{port}"
        address = parse_topic(topic, root)
        if address.kind is Kind.IN:
            return f"{parse_path(source)}>{address.path}.{address.port}"
    except PathError as error:
        raise TopicError(f"topic {topic[:120]!r} from {source[:120]!r} is no edge: {error.what}") from None
    raise TopicError(f"topic {topic[:120]!r} is neither an output nor work for an input, so it is no edge")


def sender_of(edge: str) -> str:
    """The path of the agent that sends on an edge."""
    sender, arrow, _ = edge.partition(">")
    return sender if arrow else edge.rpartition(".")[0]


def topic_of(edge: str, root: str) -> str:
    """The topic on which the events of an edge are published."""
    _, arrow, work = edge.partition(">")
    path, _, port = (work if arrow else edge).rpartition(".")
    return topic_for(root, Kind.IN if arrow else Kind.OUT, path, port)
