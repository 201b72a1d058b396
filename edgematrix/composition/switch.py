"""A switch: the first case that holds gets the request (docs/spec/matrix.md, "What an agent can be")."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Final

from edgematrix.composition.course import Done, Effect, Emit, Event, Fail, Failed, Finish, Invoke, Note
from edgematrix.composition.finding import Finding, compiled, stranger
from edgematrix.composition.judgement import Judgement
from edgematrix.composition.request import passed_on, request_of
from edgematrix.composition.spec import SwitchSpec
from edgematrix.errors import ExpressionError

__all__ = ["Switch", "SwitchCourse", "check_switch"]

_WANTED: Final = frozenset({"out"})


class Switch:
    """A compiled switch. What the member that got the request puts out is what the switch puts out."""

    __slots__ = ("cases", "default")

    def __init__(self, cases: tuple[tuple[Judgement, str], ...], default: str | None) -> None:
        self.cases = cases
        self.default = default

    @classmethod
    def compile(cls, spec: SwitchSpec, fields: Collection[str] | None = None) -> Switch:
        """Compile a switch; `fields` are those of its request, None where they are not known.

        Raises:
            ExpressionError: a case is wrong; `where` is the path to it in the switch, then `line:column`.
        """
        cases = tuple((_case(number, case.when, fields), case.to) for number, case in enumerate(spec.cases))
        return cls(cases, spec.default)

    def course(self, runid: str) -> SwitchCourse:  # noqa: ARG002 - it shares nothing with other runs
        """A course for a run."""
        return SwitchCourse(self)

    def streamed(self, member: str, port: str) -> str:  # noqa: ARG002 - whichever got the request
        """What the member streams is streamed on the port of that name."""
        return port


class SwitchCourse:
    """One request on its way through a switch."""

    __slots__ = ("_member", "_over", "_switch")

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._member = ""
        self._over = False

    @property
    def deadline_us(self) -> int | None:
        """Never: the member has a deadline of its own."""
        return None

    def begin(self, inputs: Mapping[str, object], now_us: int) -> list[Effect]:  # noqa: ARG002 - nothing in it takes time
        """Give the request to the first case that holds. One that cannot be judged does not hold."""
        request = request_of(inputs)
        effects: list[Effect] = []
        for condition, member in self._switch.cases:
            try:
                if not condition.holds(request):
                    continue
            except ExpressionError as error:
                effects.append(Note(f"the case `{condition.text}` cannot be judged, so it does not hold: {error}"))
                continue
            self._member = member
            break
        else:
            self._member = self._switch.default or ""
        if not self._member:
            self._over = True
            return [*effects, Note("no case holds and there is no default, so nothing is put out"), Finish()]
        return [*effects, Invoke(1, self._member, passed_on(inputs), _WANTED)]

    def take(self, event: Event, now_us: int) -> list[Effect]:  # noqa: ARG002 - nothing in it takes time
        """Take how the member's work ended."""
        if self._over or not isinstance(event, (Done, Failed)):
            return []
        self._over = True
        if isinstance(event, Failed):
            return [Fail(event.reason, self._member)]
        said: list[Effect] = [Emit(port, value) for port, value in event.outputs.items()]
        return [*(said or [Note(f"`{self._member}` returned nothing")]), Finish()]

    def waits_for(self) -> str:
        """What it waits for."""
        return "nothing, it is over" if self._over else f"`{self._member}`, whose case holds" if self._member else "its request"

    def close(self) -> tuple[str, ...]:
        """Nothing of it is kept outside."""
        self._over = True
        return ()


def check_switch(spec: SwitchSpec, children: Collection[str], fields: Collection[str] | None = None) -> Iterator[Finding]:
    """What is wrong with a switch over the agents `children` and a request with these fields (None: not known)."""
    for number, case in enumerate(spec.cases):
        place = ("switch", "cases", number)
        yield from compiled(partial(Judgement.condition, case.when, fields), (*place, "when"))
        yield from stranger((*place, "to"), case.to, children)
    if spec.default is not None:
        yield from stranger(("switch", "default"), spec.default, children)


def _case(number: int, when: str, fields: Collection[str] | None) -> Judgement:
    try:
        return Judgement.condition(when, fields)
    except ExpressionError as error:
        raise ExpressionError(error.what, where=f"cases.{number}.when {error.where}", remedy=error.remedy) from None
