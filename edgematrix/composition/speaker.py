"""Who speaks next in a chat."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from edgematrix.composition.spec import ChatSpec, RuleSpeaker
from edgematrix.composition.transcript import Entry, Transcript, spoken
from edgematrix.errors import ExpressionError, RunError
from edgematrix.expression import ANY, Expression, Shape
from edgematrix.expression.names import nearest

__all__ = [
    "END",
    "QUESTION_CHARACTERS_MAX",
    "RULE_NAMES",
    "Addressed",
    "Modelled",
    "Pick",
    "RoundRobin",
    "Ruled",
    "Speaker",
    "Standing",
    "speaker_of",
]

END: Final = "end"
"""What a model picks for the end of a chat."""
QUESTION_CHARACTERS_MAX: Final = 2_000
"""Of the question to a model about who speaks next; of the replies, the newest that fit stand in it."""
_LINE_CHARACTERS_MAX: Final = 400
_ASKED: Final = f"Who speaks next? `{END}` if all is said."
RULE_NAMES: Final[Mapping[str, Shape]] = dict.fromkeys(("turn", "last", "speaker", "members", "transcript"), ANY)
"""What a rule may name."""


class Standing(NamedTuple):
    """How a chat stands before turn number `turn`.

    `speaker` had the turn before, empty if nobody had. `replied` tells that something was said in it, by a member or, before
    the first turn, by whoever asked.
    """

    turn: int
    speaker: str
    replied: bool
    transcript: Transcript


class Pick(NamedTuple):
    """Who speaks next, empty for the end. `note` is what whoever watches should know."""

    member: str
    note: str = ""


class RoundRobin:
    """The members in the order in which they are written."""

    __slots__ = ("_members",)

    def __init__(self, members: Sequence[str]) -> None:
        self._members = tuple(members)

    def pick(self, standing: Standing) -> Pick:
        """The one after the last."""
        if not standing.speaker:
            return Pick(self._members[0])
        return Pick(self._members[(self._members.index(standing.speaker) + 1) % len(self._members)])


class Addressed:
    """Who is named last in what was said last: in its field `to`, as `@name`, or else as a word. Nobody: the next in order.

    A name counts for one turn. Nobody addresses oneself but by `to`.
    """

    __slots__ = ("_members", "_names", "_order")

    def __init__(self, members: Sequence[str]) -> None:
        self._members = frozenset(members)
        self._order = RoundRobin(members)
        # The longest first, so that `worker-10` is not read as `worker-1`.
        names = "|".join(map(re.escape, sorted(members, key=len, reverse=True)))
        self._names = re.compile(rf"(?<![\w@-])(@?)({names})(?![\w-])")

    def pick(self, standing: Standing) -> Pick:
        """The one who was addressed."""
        transcript = standing.transcript
        said = (transcript.replies[-1] if transcript.replies else transcript.opening) if standing.replied else None
        if said is None:
            return self._order.pick(standing)
        note = ""
        to = said.content.get("to") if isinstance(said.content, Mapping) else None
        if to is not None:
            if isinstance(to, str) and to in self._members:
                return Pick(to)
            note = f"`to` of `{said.name}` is {str(to)[:80]!r}, which is no member"
        return Pick(self._named(said) or self._order.pick(standing).member, note)

    def _named(self, said: Entry) -> str:
        called = word = ""
        for text in _texts(said.content):
            for sign, name in self._names.findall(text.lower()):
                if name == said.name:
                    continue
                if sign:
                    called = name
                else:
                    word = name
        return called or word


class Ruled:
    """Whom a rule names."""

    __slots__ = ("_members", "_rule")

    def __init__(self, members: Sequence[str], rule: Expression) -> None:
        self._members = tuple(members)
        self._rule = rule

    def pick(self, standing: Standing) -> Pick:
        """What the rule gives.

        Raises:
            ExpressionError: the rule failed.
            RunError: it gives no name of a member.
        """
        replies = standing.transcript.replies
        scope: dict[str, object] = {
            "turn": standing.turn,
            "last": replies[-1].content if replies else None,
            "speaker": standing.speaker,
            "members": list(self._members),
        }
        if "transcript" in self._rule.roots:
            scope["transcript"] = standing.transcript.as_list()
        found = self._rule.evaluate(scope)
        if found == "" or found in self._members:
            return Pick(str(found))
        close = nearest(found, self._members) if isinstance(found, str) else ""
        what = f"the rule for who speaks gave {str(found)[:80]!r}, which is no member"
        raise RunError(what, remedy=f"did you mean `{close}`?" if close else f"members are {', '.join(self._members)}")


class Modelled:
    """Whom a model picks, from the names and `end`."""

    __slots__ = ("choices",)

    def __init__(self, members: Sequence[str]) -> None:
        self.choices = (*members, END)

    def question(self, standing: Standing) -> str:
        """What the model is asked: the request, the newest replies, and who speaks next."""
        transcript = standing.transcript
        opening = _line(transcript.opening)
        room = QUESTION_CHARACTERS_MAX - len(opening) - 1 - len(_ASKED)
        newest: list[str] = []
        for entry in reversed(transcript.replies):
            line = _line(entry)
            room -= len(line) + 1
            if room < 0:
                break
            newest.append(line)
        return "\n".join([opening, *reversed(newest), _ASKED])


Speaker: TypeAlias = RoundRobin | Addressed | Ruled | Modelled


def speaker_of(spec: ChatSpec) -> Speaker:
    """The speaker of a chat.

    Raises:
        ExpressionError: its rule is wrong; `where` is `speaker.rule`, then `line:column` in it.
    """
    speaker = spec.speaker
    if speaker == "round_robin":
        return RoundRobin(spec.members)
    if speaker == "addressed":
        return Addressed(spec.members)
    if isinstance(speaker, RuleSpeaker):
        try:
            return Ruled(spec.members, Expression.compile(speaker.rule, RULE_NAMES))
        except ExpressionError as error:
            raise ExpressionError(error.what, where=f"speaker.rule {error.where}", remedy=error.remedy) from None
    return Modelled(spec.members)


def _texts(content: object) -> Iterator[str]:
    """The texts in what was said, in order; names of fields are none. Without recursion, as a reply may nest deeply."""
    rest = [content]
    while rest:
        part = rest.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            rest.extend(reversed(list(part.values())))
        elif isinstance(part, (list, tuple)):
            rest.extend(reversed(part))


def _line(entry: Entry) -> str:
    text = " ".join(spoken(entry.content).split())
    return f"{entry.name}: {text if len(text) <= _LINE_CHARACTERS_MAX else text[:_LINE_CHARACTERS_MAX] + '…'}"
