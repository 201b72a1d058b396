"""What the boards of a matrix judge themselves: which trigger groups are pushed down, and which are not and why (docs/spec/triggers.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2s
from typing import Any, Final, TypeAlias

import msgspec

from edgematrix.agents.spec import ActionSpec
from edgematrix.config.agent_tree import AgentNode, AgentTree, Target
from edgematrix.config.marks import marks_of
from edgematrix.config.spec import TriggerSpec
from edgematrix.config.wires import Wires
from edgematrix.errors import EdgeMatrixError, PathError
from edgematrix.protocol.path import AgentPath, parent_of
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.board_table import RULES_PORT, BoardTable, PushedRule, named
from edgematrix.triggers.pushdown import BYTES_MAX, RULES_MAX, SOURCES_MAX, VERSION, Form, rule_form, sieve_form

__all__ = ["RULES_PORT", "BoardRules", "Verdict", "board_rules"]

_READ_WHOLE: Final = re.compile(r"\$\{\s*([A-Za-z_][A-Za-z0-9_]*)\.value\s*\}")


class Verdict(msgspec.Struct, frozen=True):
    """What became of one group that reads a board. `reason` says why it stays with the host; empty where it is pushed down.

    `acts` are the actions that the board carries out itself, by their places in `do:`; `why_not` says why it carries out none. `sieved`
    are sources of which the host hears only the values that make a difference.
    """

    agent: AgentPath
    group: str
    board: AgentPath
    reason: str = ""
    acts: tuple[int, ...] = ()
    why_not: str = ""
    sieved: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line for people."""
        name = f"{self.agent}: `{self.group}`"
        if self.reason:
            less = f"; of {', '.join(self.sieved)} it hears what makes a difference" if self.sieved else ""
            return f"{name} stays with the host: {self.reason}{less}"
        acts = "which acts by itself" if self.acts else f"and the host acts: {self.why_not}"
        return f"{name} can be pushed down to {self.board}, {acts}"


class BoardRules(msgspec.Struct, frozen=True):
    """The rules of one board, and which agent's host hands them out."""

    board: AgentPath
    keeper: AgentPath | None
    table: BoardTable


def board_rules(tree: AgentTree) -> tuple[list[BoardRules], list[Verdict]]:
    """The table of each board of a matrix, and what became of each group that reads one. Both are in written order."""
    boards = [node for node in tree if node.is_board]
    if not boards:
        return [], []
    verdicts: list[Verdict] = []
    found: dict[AgentPath, list[tuple[PushedRule, Form]]] = {node.path: [] for node in boards}
    sizes = dict.fromkeys(found, 0)
    marks = marks_of(tree)
    loud = set(_read_otherwise(tree))
    sieves: dict[_Place, dict[str, Form]] = {}
    for node in tree:
        for name, trigger in node.spec.triggers.items():
            sources = _board_sources(tree, node, trigger)
            if not sources:
                continue
            verdict, made = _judge(tree, node, name, trigger, sources)
            if made is not None and any(marks.origin_of(_topic(tree, target)) for target in sources.values()):
                reason = "what it reads is untrusted, and what a board says does not tell so"
                verdict, made = msgspec.structs.replace(verdict, reason=reason, acts=()), None
            if made is not None:
                sizes[verdict.board] += len(json.dumps(made[1])) + 1
                if len(found[verdict.board]) >= RULES_MAX or sizes[verdict.board] > BYTES_MAX - _SPARE:
                    verdict, made = msgspec.structs.replace(verdict, reason=_FULL), None
            if made is not None:
                found[verdict.board].append(made)
            else:
                verdict = msgspec.structs.replace(verdict, sieved=_sift(trigger, sources, sieves, loud))
            verdicts.append(verdict)
    made_rules = [_made(tree, node, found[node.path], sieves, loud) for node in boards]
    quiet = {(rules.board, port) for rules in made_rules for port, _ in rules.table.form[2]}
    return made_rules, [_told(tree, verdict, quiet) for verdict in verdicts]


_Place: TypeAlias = tuple[AgentPath, str]
"""A board and one of its ports."""


def _sift(trigger: TriggerSpec, sources: dict[str, Target], sieves: dict[_Place, dict[str, Form]], loud: set[_Place]) -> tuple[str, ...]:
    """Note which values of its boards a group of the host needs: the sources of which not all do."""
    texts = json.dumps(
        [trigger.if_, [[action.when, action.stop, action.publish, action.emit, action.send, action.call] for action in trigger.do]],
        default=repr,
    )
    sifted = []
    for name, target in sources.items():
        is_read = not trigger.do or re.search(rf"\b{re.escape(name)}\b", texts) is not None
        form = sieve_form(name, trigger.on[name], target.port, is_read=is_read)
        if form is None:
            loud.add((target.node.path, target.port))
        else:
            sieves.setdefault((target.node.path, target.port), {})[json.dumps(form)] = form
            sifted.append(name)
    return tuple(sifted)


def _told(tree: AgentTree, verdict: Verdict, quiet: set[_Place]) -> Verdict:
    """A verdict that names those sources alone whose port is not told for others anyway."""
    if not verdict.sieved:
        return verdict
    trigger = tree.nodes[verdict.agent].spec.triggers[verdict.group]
    sources = _board_sources(tree, tree.nodes[verdict.agent], trigger)
    kept = tuple(name for name in verdict.sieved if (sources[name].node.path, sources[name].port) in quiet)
    return msgspec.structs.replace(verdict, sieved=kept)


def _made(
    tree: AgentTree, board: AgentNode, rules: list[tuple[PushedRule, Form]], sieves: dict[_Place, dict[str, Form]], loud: set[_Place]
) -> BoardRules:
    return BoardRules(board.path, _keeper(tree, board, rules), _table(board, rules, sieves, loud))


def _topic(tree: AgentTree, target: Target) -> str:
    return topic_for(tree.matrix.root, target.kind, target.node.path, target.port)


_HEAD: Final = 32
"""Bytes of a table besides its ports and rules."""
_SPARE: Final = 512
"""For the names of ports that the board keeps to itself."""
_FULL: Final = f"the board has {RULES_MAX} rules, or {BYTES_MAX} bytes of them"


def _board_sources(tree: AgentTree, node: AgentNode, trigger: TriggerSpec) -> dict[str, Target]:
    """The sources of a group that are outputs of boards."""
    found: dict[str, Target] = {}
    for name, source in trigger.on.items():
        if source.from_ is not None:
            with suppress(EdgeMatrixError):  # checking the matrix tells it
                target = tree.source(source.from_, node.path)
                if target.kind is Kind.OUT and target.node.is_board:
                    found[name] = target
    return found


def _judge(
    tree: AgentTree, node: AgentNode, name: str, trigger: TriggerSpec, sources: dict[str, Target]
) -> tuple[Verdict, tuple[PushedRule, Form] | None]:
    boards = {target.node.path: target.node for target in sources.values()}
    board = next(iter(boards.values()))
    ports = {source: target.port for source, target in sources.items() if target.node is board}
    verdict = Verdict(node.path, name, board.path)
    try:
        if len(boards) > 1:
            raise ValueError(f"it reads {len(boards)} boards")
        form = rule_form(trigger, ports)
    except ValueError as error:
        return msgspec.structs.replace(verdict, reason=str(error)), None
    acts, why_not = _acts(tree, node, trigger, board)
    key = json.dumps([node.path, name, *form, acts])
    rule = blake2s(key.encode(), digest_size=4).hexdigest()
    places = tuple(act[0] for act in acts)
    pushed = PushedRule(rule, node.path, name, tuple(ports[source] for source in trigger.on))
    return msgspec.structs.replace(verdict, acts=places, why_not=why_not), (pushed, [rule, *form, acts])


def _acts(tree: AgentTree, node: AgentNode, trigger: TriggerSpec, board: AgentNode) -> tuple[list[Form], str]:
    """`[place, port, how, payload]` of the first actions, as long as they are sends to the board itself; else why there are none.

    `how` is 0 for a payload as it stands, 1 for the value of the source with that place.
    """
    if not trigger.do:
        return [], "its code runs there" if node.spec.python is not None else "it has no actions"
    if trigger.if_ is not None:
        return [], "the host judges `if`"
    if any(action.delay is not None or action.call is not None for action in trigger.do):
        return [], "its actions take time"
    found: list[Form] = []
    why_not = ""
    for place, action in enumerate(trigger.do):
        why_not = _refusal(tree, node, action, board)
        if why_not:
            break
        assert action.send is not None  # noqa: S101 - it was looked at
        found.append([place, tree.destination(action.send.to, node.path).port, *_payload(trigger, action.send.payload)])
    return found, "" if found else why_not


def _refusal(tree: AgentTree, node: AgentNode, action: ActionSpec, board: AgentNode) -> str:
    """Why a board does not carry out an action; empty if it does."""
    if action.send is None or action.when is not None:
        return "its first action is no `send` without `when`"
    try:
        target = tree.destination(action.send.to, node.path)
    except PathError:
        return "nobody has what it sends to"  # checking the matrix tells it
    if target.node is not board:
        return f"it sends to {target.node.path}"
    whole = isinstance(action.send.payload, str) and _READ_WHOLE.fullmatch(action.send.payload)
    return "" if whole or not _has_template(action.send.payload) else "what it sends is computed"


def _payload(trigger: TriggerSpec, payload: object) -> tuple[int, object]:
    found = _READ_WHOLE.fullmatch(payload) if isinstance(payload, str) else None
    return (0, payload) if found is None else (1, list(trigger.on).index(found[1]))


def _has_template(payload: object) -> bool:
    if isinstance(payload, str):
        return "${" in payload
    if isinstance(payload, dict):
        return any(_has_template(part) for pair in payload.items() for part in pair)
    return isinstance(payload, list) and any(map(_has_template, payload))


def _read_otherwise(tree: AgentTree) -> Iterator[tuple[AgentPath, str]]:
    """The ports of boards whose values somebody wants who is no trigger group."""
    wires = Wires(tree)
    for node in tree:
        for target in wires.relayed(node):
            yield target.node.path, target.port
        for source in node.spec.onnx.on.values() if node.spec.onnx is not None else ():
            if source.from_ is not None:
                with suppress(EdgeMatrixError):
                    target = tree.source(source.from_, node.path)
                    yield target.node.path, target.port
        for heard in wires.heard(node):
            if heard.is_board:
                yield from ((heard.path, port) for port in heard.spec.outputs)


def _keeper(tree: AgentTree, board: AgentNode, rules: list[tuple[PushedRule, Form]]) -> AgentPath | None:
    """The agent whose host hands out the table: the one that the board is in, else the first that has a rule there, else the first."""
    above = tree.nodes.get(parent_of(board.path) or "")
    if above is not None:
        return above.path
    if rules:
        return rules[0][0].agent
    return next((node.path for node in tree if not node.is_board), None)


def _table(board: AgentNode, rules: list[tuple[PushedRule, Form]], sieves: dict[_Place, dict[str, Form]], loud: set[_Place]) -> BoardTable:
    """A port is quiet if all who read it are rules, or want only what makes a difference, and nobody wants its last value."""
    read = {port for rule, _ in rules for port in rule.ports} | {port for path, port in sieves if path == board.path}
    outputs = board.spec.outputs
    quiet: list[Any] = []
    for port in sorted(read):
        wanted = list(sieves.get((board.path, port), {}).values())
        is_kept = port in outputs and outputs[port].retain
        if (board.path, port) not in loud and not is_kept and len(wanted) <= SOURCES_MAX and len(quiet) < RULES_MAX:
            quiet.append([port, wanted])
    forms: list[Any] = [form for _, form in rules]
    while len(json.dumps([quiet, forms])) > BYTES_MAX - _HEAD:
        quiet.pop()
    return named(VERSION, quiet, forms, tuple(rule for rule, _ in rules))
