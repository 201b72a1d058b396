"""A chat: agents that speak in turns on a transcript that all of them see (docs/spec/matrix.md, "What an agent can be")."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Final

from edgematrix.composition.chat_course import ChatCourse
from edgematrix.composition.finding import Finding, compiled, stranger
from edgematrix.composition.judgement import Judgement
from edgematrix.composition.speaker import END, Speaker, speaker_of
from edgematrix.composition.spec import ChatSpec
from edgematrix.composition.transcript import OPENING
from edgematrix.errors import ExpressionError
from edgematrix.expression import ANY, Shape

__all__ = ["UNTIL_NAMES", "Chat", "check_chat"]

UNTIL_NAMES: Final[Mapping[str, Shape]] = dict.fromkeys(("reply", "speaker", "turn", "transcript"), ANY)
"""What `until` may name beside the fields of the reply."""


class Chat:
    """A compiled chat.

    It puts out `out` (what was said last; nothing if nobody said anything), `transcript`
    (`[{"name": …, "content": …}, …]`, the request first) and `ended` (`{"reason": "until" | "max_turns" | "end", "turns": n}`).
    """

    __slots__ = ("_speaker", "_spec", "_until")

    def __init__(self, spec: ChatSpec, speaker: Speaker, until: Judgement | None) -> None:
        self._spec = spec
        self._speaker = speaker
        self._until = until

    @classmethod
    def compile(cls, spec: ChatSpec) -> Chat:
        """Compile a chat.

        Raises:
            ExpressionError: `until` or a rule is wrong; `where` is the path to it in the chat, then `line:column`.
        """
        speaker = speaker_of(spec)
        try:
            until = None if spec.until is None else Judgement.condition(spec.until, None, UNTIL_NAMES)
        except ExpressionError as error:
            raise ExpressionError(error.what, where=f"until {error.where}", remedy=error.remedy) from None
        return cls(spec, speaker, until)

    def course(self, runid: str) -> ChatCourse:  # noqa: ARG002 - it shares nothing with other runs
        """A course for a run."""
        return ChatCourse(self._spec, self._speaker, self._until)


def check_chat(spec: ChatSpec, children: Collection[str], fields: Collection[str] | None = None) -> Iterator[Finding]:
    """What is wrong with a chat among the agents `children`; `fields` are those that replies may have, None where any may be there."""
    if not spec.members:
        yield Finding(("chat", "members"), "a chat without members", "name agents below")
    for number, name in enumerate(spec.members):
        place = ("chat", "members", number)
        yield from stranger(place, name, children)
        if name in spec.members[:number]:
            yield Finding(place, f"`{name}` is a member twice", "each member is named once")
        elif name == OPENING:
            yield Finding(
                place, f"a member cannot be called `{name}`: under that name the request opens the transcript", "name it otherwise"
            )
        elif name == END:
            yield Finding(
                place, f"a member cannot be called `{name}`: a model that picks the speaker ends the chat by it", "name it otherwise"
            )
    if not isinstance(spec.speaker, str):
        yield from compiled(partial(speaker_of, spec), ("chat", "speaker", "rule"))
    if spec.until is not None:
        yield from compiled(partial(Judgement.condition, spec.until, fields, UNTIL_NAMES), ("chat", "until"))
