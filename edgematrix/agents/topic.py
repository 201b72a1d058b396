"""Foreign topics with `${…}` in them."""

from __future__ import annotations

from collections.abc import Mapping

from edgematrix.errors import ExpressionError, TopicError
from edgematrix.expression import Expression, Scope, Shape, compile_pieces, written
from edgematrix.protocol.topic import DEFAULT_ROOT, check_topic

__all__ = ["TopicTemplate", "check_foreign"]

_FORBIDDEN = "/+#\0"
_TOPIC_BYTES_MAX = 1_024


def check_foreign(topic: str, root: str = DEFAULT_ROOT) -> str:
    """Return `topic` if a bare payload may be published on it.

    Raises:
        TopicError: it breaks the grammar, is longer than 1,024 bytes, or is the bus's own.
    """
    check_topic(topic, _TOPIC_BYTES_MAX)
    if topic == root or topic.startswith(f"{root}/"):
        raise TopicError(f"topic {topic[:120]!r} is the bus's own", remedy="`emit` an output, or `send` to an agent's input")
    return topic


class TopicTemplate:
    """A topic whose interpolated values can never add a level or a wildcard, nor lead below the root."""

    __slots__ = ("_pieces", "_root")

    def __init__(self, pieces: list[str | Expression], root: str) -> None:
        self._pieces = pieces
        self._root = root

    @classmethod
    def compile(cls, text: str, names: Mapping[str, Shape], root: str = DEFAULT_ROOT) -> TopicTemplate | str:
        """Compile a topic; one without an expression is the text itself.

        Raises:
            ExpressionError: an expression in it is wrong.
            TopicError: it has no expression, and may not be published on.
        """
        template = cls(compile_pieces(text, names), root)
        return template if any(isinstance(piece, Expression) for piece in template._pieces) else template.render({})

    def render(self, scope: Scope) -> str:
        """The topic in this scope.

        Raises:
            ExpressionError: an expression failed, or gave what may not enter a topic.
            TopicError: the topic may not be published on.
        """
        topic = "".join([piece if isinstance(piece, str) else _level_part(piece, scope) for piece in self._pieces])
        return check_foreign(topic, self._root)


def _level_part(piece: Expression, scope: Scope) -> str:
    value = piece.evaluate(scope)
    if value is None or isinstance(value, (list, dict, bytes)) or value == "":
        kind = {type(None): "null", list: "a list", dict: "an object", bytes: "bytes"}.get(type(value), "empty")
        raise ExpressionError(f"`${{{piece.text[:80]}}}` is {kind}, which cannot be part of a topic")
    text = written(value)
    for bad in _FORBIDDEN:
        if bad in text:
            raise ExpressionError(f"`${{{piece.text[:80]}}}` holds {bad!r}, which may not enter a topic: {text[:80]!r}")
    return text
