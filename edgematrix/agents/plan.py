"""`do:` compiled: a list of steps, each of which gives effects or a reason to pause (docs/spec/triggers.md, "Actions")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2s

import msgspec

from edgematrix.agents.check import check_actions
from edgematrix.agents.place import placed
from edgematrix.agents.spec import ActionSpec, CallSpec, PublishSpec, SendSpec
from edgematrix.agents.step import Calling, Delay, Delaying, Emitting, Publishing, Sending, Step, Stopping
from edgematrix.agents.topic import TopicTemplate
from edgematrix.errors import EdgeMatrixError, ExpressionError
from edgematrix.expression import ANY, Condition, Expression, Shape, Template, compile_pieces, template_names
from edgematrix.protocol.path import AgentPath, resolve
from edgematrix.protocol.topic import DEFAULT_ROOT

__all__ = ["RESULT", "Plan", "PortOf"]

PortOf = Callable[[str], tuple[AgentPath, str]]
"""From a reference as it stands in a definition to the agent and the input port that it means."""

RESULT = "result"
"""The name of the last call's answer."""


class Plan(msgspec.Struct, frozen=True, gc=False):
    """A compiled `do:` list; it is shared by all runs.

    `wires` are the input ports that it sends to or calls. `mark` tells one plan from another, so that a run that
    was stored goes on only in the plan that it began in. `of_answers` has the numbers of the steps that read nothing but the answer
    to a call.
    """

    steps: tuple[Step, ...]
    wires: tuple[tuple[AgentPath, str], ...]
    mark: bytes
    of_answers: frozenset[int] = frozenset()

    @property
    def calls(self) -> bool:
        """Whether any step waits for an answer."""
        return any(step.calls for step in self.steps)

    @property
    def leads(self) -> bool:
        """Whether any step puts out, sends or calls: foreign topics alone know of no runs."""
        return bool(self.wires) or any(isinstance(step, Emitting) for step in self.steps)

    @classmethod
    def compile(
        cls,
        actions: Sequence[ActionSpec],
        names: Mapping[str, Shape],
        agent: AgentPath,
        *,
        root: str = DEFAULT_ROOT,
        port_of: PortOf | None = None,
    ) -> Plan:
        """Compile the actions of a group of `agent`; `names` is what its expressions may name.

        `port_of` knows which input port a `to` or `agent` means; without it a reference that names none means `in`.

        Raises:
            ExpressionError: an expression is wrong, or an entry is not exactly one action.
            PathError: a `to` or `agent` breaks the grammar.
            TopicError: a topic breaks the grammar or is the bus's own.
        """
        for finding in check_actions(actions, durable=True):
            if finding.severity == "error":
                raise ExpressionError(finding.what, where=finding.where, remedy=finding.remedy)
        compiler = _Compiler(dict(names), root, port_of or partial(resolve, agent=agent, default_port="in"))
        steps = tuple(compiler.step(number, action) for number, action in enumerate(actions))
        mark = blake2s(repr((agent, root, list(actions))).encode(errors="replace"), digest_size=8).digest()
        calls = any(step.calls for step in steps)
        alone = frozenset(number for number, action in enumerate(actions) if _reads_answers_alone(action)) if calls else frozenset()
        return cls(steps, tuple(dict.fromkeys(compiler.wires)), mark, alone)


class _Compiler:
    def __init__(self, names: dict[str, Shape], root: str, port_of: PortOf) -> None:
        self.names = names
        self.root = root
        self.port_of = port_of
        self.wires: list[tuple[AgentPath, str]] = []

    def step(self, number: int, action: ActionSpec) -> Step:
        place = f"do.{number}"
        when = None
        if action.when is not None:
            with _at(f"{place}.when"):
                when = self._condition(action.when)
        if action.publish is not None:
            return self._publish(number, when, f"{place}.publish", action.publish)
        if action.emit is not None:
            return self._emit(number, when, f"{place}.emit", action.emit)
        if action.send is not None:
            return self._send(number, when, f"{place}.send", action.send)
        if action.call is not None:
            return self._call(number, when, f"{place}.call", action.call)
        if action.delay is not None:
            return Delaying(number, when, Delay(action.delay))
        with _at(f"{place}.stop"):
            return Stopping(number, when, self._condition(action.stop) if isinstance(action.stop, str) else bool(action.stop))

    def _publish(self, number: int, when: Condition | None, place: str, spec: PublishSpec) -> Step:
        with _at(f"{place}.topic"):
            topic = TopicTemplate.compile(spec.topic, self.names, self.root)
        return Publishing(number, when, topic, self._payload(place, spec.payload), spec.qos, spec.retain)

    def _emit(self, number: int, when: Condition | None, place: str, ports: Mapping[str, object]) -> Step:
        values: list[tuple[str, Template]] = []
        for port, value in ports.items():
            with _at(f"{place}.{port}"):
                values.append((port, Template.compile(value, self.names)))
        return Emitting(number, when, tuple(values))

    def _send(self, number: int, when: Condition | None, place: str, spec: SendSpec) -> Step:
        path, port = self._wire(f"{place}.to", spec.to)
        return Sending(number, when, path, port, self._payload(place, spec.payload))

    def _call(self, number: int, when: Condition | None, place: str, spec: CallSpec) -> Step:
        path, port = self._wire(f"{place}.agent", spec.agent)
        payload = self._payload(place, spec.payload)
        if self.names.get(RESULT, ANY) is not ANY:
            raise ExpressionError(
                f"a source is named `{RESULT}`, which is the name of a call's answer", where=place, remedy="rename the source"
            )
        self.names[RESULT] = ANY
        return Calling(number, when, path, port, payload, spec.timeout)

    def _payload(self, place: str, payload: object) -> Template:
        with _at(f"{place}.payload"):
            return Template.compile(payload, self.names)

    def _wire(self, place: str, reference: str) -> tuple[AgentPath, str]:
        with _at(place):
            wire = self.port_of(reference)
        self.wires.append(wire)
        return wire

    def _condition(self, text: str) -> Condition:
        """A condition that stands in `${…}`, or bare as in `if:`."""
        if "${" not in text:
            return Condition.compile(text, self.names)
        pieces = compile_pieces(text.strip(), self.names)
        if len(pieces) != 1 or not isinstance(pieces[0], Expression):
            raise ExpressionError(f"{text[:80]!r} is more than one `${{…}}`, expected a condition", where="1:1")
        return Condition.of(pieces[0], text)


_ANSWER_NAMES = frozenset({RESULT, "now"})


def _reads_answers_alone(action: ActionSpec) -> bool:
    return all(name in _ANSWER_NAMES for text in _texts_of(action) for name in template_names(text))


def _texts_of(action: ActionSpec) -> Iterator[str]:
    """All that holds expressions in an action."""
    for text in (action.when, action.stop if isinstance(action.stop, str) else None):
        if text is not None:
            yield text if "${" in text else f"${{{text}}}"
    said = [part.payload for part in (action.publish, action.send, action.call) if part is not None]
    rest: list[object] = [*said, action.publish.topic if action.publish is not None else None, *(action.emit or {}).values()]
    while rest:
        part = rest.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            rest += [*part.keys(), *part.values()]
        elif isinstance(part, (list, tuple)):
            rest += part


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Let errors say where in `do` they are."""
    try:
        yield
    except EdgeMatrixError as error:
        raise placed(error, place) from None
