"""Exact rules from a sentence to a command: the first stage of an intent agent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from math import prod

import msgspec

from edgematrix.agents.heard import Names, Numbers, Reading, TooManyReadings, readings
from edgematrix.agents.phrase import Node, always_said, first_words, parse_phrase, said_slots, words_of
from edgematrix.agents.place import at
from edgematrix.agents.plan import PortOf
from edgematrix.agents.spec import SentenceRule, SentencesSpec
from edgematrix.errors import ExpressionError
from edgematrix.expression import ANY, Expression, Scope, Shape, Template, compile_pieces, written
from edgematrix.protocol.path import AgentPath, resolve

__all__ = ["Ambiguous", "Besides", "Command", "Heard", "Pattern", "Sentences", "Unknown", "references_of"]

SENTENCE_LENGTH_MAX = 500
WORDS_MAX = 64
COMMANDS_MAX = 8
"""Different commands that an ambiguous sentence is told to mean."""
RECEIVERS_MAX = 1_000
"""Input ports that one `to` with `${…}` may stand for."""


class Besides(msgspec.Struct, frozen=True):
    """What a command sends besides."""

    path: AgentPath
    port: str
    payload: object


class Command(msgspec.Struct, frozen=True):
    """What a sentence asks for: a payload to an agent's input port, an answer to the speaker, or both.

    `path` is None where there is only an answer, `besides` is what else it sends. `rule` is the position of the rule, `said` its
    pattern, `slots` the values of what was named.
    """

    path: AgentPath | None
    port: str
    payload: object
    answer: str
    rule: int
    said: str
    slots: dict[str, object] = {}
    besides: tuple[Besides, ...] = ()


class Unknown(msgspec.Struct, frozen=True):
    """No rule knows the sentence; `reason` says more where there is more to say."""

    text: str
    reason: str = ""


class Ambiguous(msgspec.Struct, frozen=True):
    """The sentence asks for different things by different readings, so it is not carried out."""

    text: str
    commands: tuple[Command, ...]

    @property
    def answer(self) -> str:
        """What to tell the speaker."""
        wanted = " or ".join(dict.fromkeys(f"“{command.said}”{_naming(command.slots)}" for command in self.commands))
        return f"I am not sure what “{self.text}” means: {wanted}?"


Heard = Command | Unknown | Ambiguous


class _Send(msgspec.Struct, frozen=True):
    """One thing to be sent. `receivers` are the input ports by the reference that `to` gives."""

    to: list[str | Expression]
    receivers: dict[str, tuple[AgentPath, str]]
    payload: Template
    given: frozenset[str]
    """The slots that its payload has."""

    def chosen_by(self) -> Iterator[str]:
        """The slots that choose its receiver."""
        for piece in self.to:
            if isinstance(piece, Expression):
                yield from piece.roots

    def made(self, scope: Scope) -> Besides:
        path, port = self.receivers[_rendered(self.to, scope)]
        return Besides(path, port, self.payload.render(scope))


class _Rule(msgspec.Struct, frozen=True):
    """A compiled rule."""

    number: int
    slots: frozenset[str]
    sends: tuple[_Send, ...]
    answer: Template


class Pattern(msgspec.Struct, frozen=True):
    """A compiled pattern of a rule. An example is not heard as it stands."""

    rule: _Rule
    said: str
    node: Node
    is_example: bool = False


class Sentences:
    """Compiled rules; it has no state."""

    __slots__ = ("_anywhere", "_by_first_word", "naming", "patterns", "slots", "wires")

    def __init__(self, patterns: list[Pattern], slots: Mapping[str, Names | Numbers]) -> None:
        self.slots = slots
        self.patterns = patterns
        sends = [send for pattern in patterns for send in pattern.rule.sends]
        choosing, given = {name for send in sends for name in send.chosen_by()}, {name for send in sends for name in send.given}
        self.naming = frozenset(name for name, slot in slots.items() if isinstance(slot, Names) and (name in choosing or name not in given))
        """The slots of things: those that choose whom a command goes to, or are no part of what it says."""
        self._by_first_word: dict[str, list[Pattern]] = {}
        self._anywhere: list[Pattern] = []
        for pattern in patterns:
            if pattern.is_example:
                continue
            words = first_words(pattern.node, lambda name: slots[name].first_words())
            if words is None:
                self._anywhere.append(pattern)
            for word in words or ():
                self._by_first_word.setdefault(word, []).append(pattern)
        self.wires = tuple(dict.fromkeys(wire for pattern in patterns for send in pattern.rule.sends for wire in send.receivers.values()))
        """The input ports that a sentence can lead to."""

    @classmethod
    def compile(cls, spec: SentencesSpec, agent: AgentPath, port_of: PortOf | None = None) -> Sentences:
        """Compile the rules of `agent`.

        `port_of` knows which input port a `to` means; without it one that names none means `in`.

        Raises:
            ExpressionError: a pattern, a slot or a template is wrong; `where` names it, as in `rules.0.say.1 1:5`.
            PathError: a `to` breaks the grammar.
        """
        slots = _slots_of(spec)
        port_of = port_of or partial(resolve, agent=agent, default_port="in")
        patterns: list[Pattern] = []
        for number, rule in enumerate(spec.rules):
            nodes = []
            for key, texts in (("say", rule.say), ("examples", rule.examples)):
                for position, said in enumerate(texts):
                    with at(f"rules.{number}.{key}.{position}"):
                        nodes.append(_parse(said, slots))
            compiled = _compile_rule(number, rule, nodes, slots, port_of)
            texts = [*rule.say, *rule.examples]
            heard = len(rule.say)
            patterns.extend(Pattern(compiled, texts[place], node, place >= heard) for place, node in enumerate(nodes))
        return cls(patterns, slots)

    def hear(self, text: str) -> Heard:
        """What a sentence asks for. Any text has an answer, in bounded time."""
        if len(text) > SENTENCE_LENGTH_MAX:
            return Unknown(text[:SENTENCE_LENGTH_MAX], f"the sentence has {len(text)} characters, at most {SENTENCE_LENGTH_MAX} are heard")
        words = words_of(text)
        if not words or len(words) > WORDS_MAX:
            return Unknown(text, f"the sentence has {len(words)} words, from 1 to {WORDS_MAX} are heard")
        commands: list[Command] = []
        reason = ""
        for pattern in (*self._by_first_word.get(words[0], ()), *self._anywhere):
            try:
                self._collect(pattern, words, commands)
            except TooManyReadings:
                reason = f"it can be read in too many ways by “{pattern.said}”"
            except ExpressionError as error:
                reason = str(error)
        if reason or not commands:
            return Unknown(text, reason)
        commands.sort(key=lambda command: command.rule)
        return commands[0] if len(commands) == 1 else Ambiguous(text, tuple(commands))

    def _collect(self, pattern: Pattern, words: list[str], commands: list[Command]) -> None:
        """Add what the pattern makes of the words, if it is something new, as long as there is room."""
        for reading in readings(pattern.node, words, self.slots):
            if len(commands) == COMMANDS_MAX:
                return
            command = self.command(pattern, reading)
            if not any(_same(command, other) for other in commands):
                commands.append(command)

    def receivers(self, pattern: Pattern, names: Reading) -> list[AgentPath]:
        """Whom a pattern sends to, with these names; who also gets what the whole house gets is not looked for among several."""
        named = {slot: known.values[int(which)] for slot, which in names if isinstance(known := self.slots[slot], Names)}
        scope: Scope = {**dict.fromkeys(pattern.rule.slots), **named}
        sends = pattern.rule.sends
        return [send.receivers[_rendered(send.to, scope)][0] for send in sends] if len(sends) == 1 else []

    def command(self, pattern: Pattern, reading: Reading) -> Command:
        """What a pattern asks for, read like this.

        Raises:
            ExpressionError: a template of its rule has no value for it.
        """
        rule = pattern.rule
        named: dict[str, object] = {}
        for slot, which in reading:
            names = self.slots[slot]
            named[slot] = names.values[int(which)] if isinstance(names, Names) else which
        scope: Scope = {**dict.fromkeys(rule.slots), **named}
        sent = [send.made(scope) for send in rule.sends]
        answer = written(rule.answer.render(scope))
        if not sent:
            return Command(None, "", None, answer, rule.number, pattern.said, named)
        first, *more = sent
        return Command(first.path, first.port, first.payload, answer, rule.number, pattern.said, named, tuple(more))


def references_of(spec: SentencesSpec) -> Iterator[tuple[int, str]]:
    """Each rule's number with every `agent.port` that its `to` may stand for.

    Raises:
        ExpressionError: as `Sentences.compile`.
    """
    slots = _slots_of(spec)
    for number, rule in enumerate(spec.rules):
        if rule.send is not None:
            nodes = [_parse(said, slots) for said in (*rule.say, *rule.examples)]
            for send in (rule.send, *rule.also):
                for reference in _references(send.to, nodes, slots)[1]:
                    yield number, reference


def _slots_of(spec: SentencesSpec) -> dict[str, Names | Numbers]:
    slots: dict[str, Names | Numbers] = {}
    for name, spoken in spec.slots.items():
        with at(f"slots.{name}"):
            slots[name] = Names(spoken)
    for name, bounds in spec.numbers.items():
        with at(f"numbers.{name}"):
            if name in slots:
                raise ExpressionError(f"the slot `{name}` is there already")
            slots[name] = Numbers(*bounds)
    return slots


def _parse(said: str, slots: Mapping[str, object]) -> Node:
    node = parse_phrase(said)
    missing = sorted(said_slots(node) - slots.keys())
    if missing:
        known = ", ".join(slots) or "none"
        raise ExpressionError(f"the slot {{{missing[0]}}} has no names", where="1:1", remedy=f"known slots: {known}")
    return node


def _compile_rule(number: int, rule: SentenceRule, nodes: list[Node], slots: Mapping[str, Names | Numbers], port_of: PortOf) -> _Rule:
    place = f"rules.{number}"
    if rule.send is None and not rule.answer:
        raise ExpressionError("the rule neither sends nor answers", where=place)
    if rule.send is None and rule.also:
        raise ExpressionError("`also` is what is sent besides, and there is no `send`", where=f"{place}.also")
    said = frozenset().union(*map(said_slots, nodes))
    names: dict[str, Shape] = dict.fromkeys(said, ANY)
    sends = []
    for key, send in [("send", rule.send), *((f"also.{index}", send) for index, send in enumerate(rule.also))]:
        if send is None:
            continue
        with at(f"{place}.{key}.to"):
            to, references = _references(send.to, nodes, slots)
            receivers = {reference: port_of(reference) for reference in references}
        with at(f"{place}.{key}.payload"):
            given = frozenset(name for name in said if re.search(rf"\$\{{[^}}]*\b{name}\b", repr(send.payload)))
            sends.append(_Send(to, receivers, Template.compile(send.payload, names), given))
    with at(f"{place}.answer"):
        answer = Template.compile(rule.answer, names)
    return _Rule(number, said, tuple(sends), answer)


def _references(text: str, nodes: list[Node], slots: Mapping[str, Names | Numbers]) -> tuple[list[str | Expression], list[str]]:
    """A `to`, and all that it can stand for: known before anybody speaks, as each is a wire."""
    sure = frozenset.intersection(*map(always_said, nodes))
    named = {name: slots[name] for name in sure if isinstance(slots[name], Names)}
    names: dict[str, Shape] = dict.fromkeys(named, ANY)
    pieces = compile_pieces(text, names)
    used = sorted(frozenset().union(*[piece.roots for piece in pieces if isinstance(piece, Expression)]))
    choices = [names_of.values for name in used if isinstance(names_of := named[name], Names)]
    if prod(map(len, choices)) > RECEIVERS_MAX:
        raise ExpressionError(f"`to` stands for {prod(map(len, choices))} input ports, at most {RECEIVERS_MAX} are allowed", where="1:1")
    said = [_rendered(pieces, dict(zip(used, values, strict=True))) for values in product(*choices)]
    return pieces, list(dict.fromkeys(said))


def _rendered(pieces: list[str | Expression], scope: Scope) -> str:
    return "".join([piece if isinstance(piece, str) else written(piece.evaluate(scope)) for piece in pieces])


def _same(one: Command, other: Command) -> bool:
    """Whether two commands do the same; of two that only answer, the answers count."""
    if one.path is None and other.path is None:
        return one.answer == other.answer
    return (one.path, one.port, one.payload, one.besides) == (other.path, other.port, other.payload, other.besides)


def _naming(slots: Mapping[str, object]) -> str:
    return f" ({', '.join(f'{name}: {written(value)}' for name, value in slots.items())})" if slots else ""
