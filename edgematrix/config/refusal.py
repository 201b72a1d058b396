"""What pydantic refused, in words about the file: one finding for each place, whatever number of readings was tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from edgematrix.config.finding import Finding, dotted, error
from edgematrix.config.shape import Shape
from edgematrix.config.yaml_position import Key

__all__ = ["refusals"]

Problem = Mapping[str, Any]

_MISSING = frozenset({"missing", "missing_argument", "missing_keyword_only_argument"})
_UNKNOWN_KEY = frozenset({"unexpected_keyword_argument", "extra_forbidden"})
_KEY_PROBLEMS = _MISSING | _UNKNOWN_KEY
_EXPECTED = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "dataclass_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "nothing",
}
_BOUNDS = {"greater_than_equal": ("ge", ">="), "greater_than": ("gt", ">"), "less_than_equal": ("le", "<="), "less_than": ("lt", "<")}
_SIZES = {
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
}
_PYTHON_WORDS = {"True": "true", "False": "false", "None": "nothing"}
_FLAG_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_SUGGESTED_MAX = 40
_FOUND_LENGTH_MAX = 60


@dataclass(slots=True)
class _Node:
    """The problems at one place of the document. `branches` are the readings that a union tried there."""

    value: object
    problems: list[Problem] = field(default_factory=list)
    children: dict[Key, _Node] = field(default_factory=dict)
    branches: dict[str, _Node] = field(default_factory=dict)

    def size(self) -> int:
        """How many problems there are here and below."""
        return len(self.problems) + sum(node.size() for node in (*self.children.values(), *self.branches.values()))


def refusals(failure: ValidationError, value: object, shape: Shape) -> list[Finding]:
    """What is wrong with `value`, which pydantic refused."""
    root = _Node(value)
    for problem in failure.errors(include_url=False, include_input=False):
        _place(root, problem)
    return list(_told(root, (), shape))


def _place(root: _Node, problem: Problem) -> None:
    node = root
    loc = problem["loc"]
    for position, part in enumerate(loc):
        if part == "[key]":
            node.problems.append({**problem, "type": "key", "cause": problem["type"]})
            return
        known = _has(node.value, part)
        if known or (position == len(loc) - 1 and problem["type"] in _KEY_PROBLEMS):
            child = node.value[part] if known else None  # type: ignore[index]
            node = node.children.setdefault(part, _Node(child))
        else:
            node = node.branches.setdefault(str(part), _Node(node.value))
    node.problems.append(problem)


def _has(value: object, part: Key) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value)


def _told(node: _Node, path: tuple[Key, ...], shape: Shape) -> Iterator[Finding]:
    for problem in node.problems:
        yield _finding(problem, node.value, path, shape)
    if node.branches:
        yield from _told_of_union(node, path, shape)
    missing = [key for key, child in node.children.items() if any(problem["type"] in _MISSING for problem in child.problems)]
    if len(missing) > 1:
        yield error(path, f"the keys {_listed([repr(key) for key in missing], 'and')} are missing", at_key=True)
    for key, child in node.children.items():
        if len(missing) <= 1 or key not in missing:
            yield from _told(child, (*path, key), shape)


def _told_of_union(node: _Node, path: tuple[Key, ...], shape: Shape) -> Iterator[Finding]:
    """The problems of the reading that was meant; of all of them as one if none has the right type."""
    meant = [branch for branch in node.branches.values() if not _is_mismatch(branch)]
    if meant:
        # What found fault inside a mapping or a list is the reading that takes one.
        yield from _told(min(meant, key=lambda branch: (not branch.children, branch.size())), path, shape)
        return
    problems = list(_leaves(node))
    literals = [problem for problem in problems if problem["type"] == "literal_error"]
    words = [word for problem in literals for word in _literal_words(problem)]
    words += dict.fromkeys(_EXPECTED[problem["type"]] for problem in problems if problem["type"] in _EXPECTED)
    if "a number" in words and "a whole number" in words:
        words.remove("a whole number")
    remedy = _near_literal(literals, node.value) or _type_remedy({problem["type"] for problem in problems}, node.value)
    yield error(path, f"expected {_listed(words)}, found {_found(node.value)}", remedy)


def _is_mismatch(node: _Node) -> bool:
    """Whether the value has not even the type that this reading wants."""
    if node.children or (
        node.problems and not all(problem["type"] in _EXPECTED or problem["type"] == "literal_error" for problem in node.problems)
    ):
        return False
    return all(map(_is_mismatch, node.branches.values()))


def _leaves(node: _Node) -> Iterator[Problem]:
    yield from node.problems
    for branch in node.branches.values():
        yield from _leaves(branch)


def _finding(problem: Problem, value: object, path: tuple[Key, ...], shape: Shape) -> Finding:
    kind: str = problem["type"]
    if kind in _UNKNOWN_KEY:
        return _unknown_key(path, shape)
    if kind in _KEY_PROBLEMS:
        return error(path[:-1], f"the key {path[-1]!r} is missing", _example(path, shape), at_key=True)
    if kind == "key":
        what, remedy = _own_words(problem) if problem["cause"] == "value_error" else (f"the key is wrong: {problem['msg']}", "")
        return error(path, what, remedy, at_key=True)
    if kind in ("value_error", "assertion_error"):
        what, remedy = _own_words(problem)
        return error(path, what.replace(f"found {type(value).__name__}", f"found {_found(value)}"), remedy)
    return error(path, *_mismatch(problem, value, path, shape))


def _mismatch(problem: Problem, value: object, path: tuple[Key, ...], shape: Shape) -> tuple[str, str]:
    """What and remedy of a value of the wrong type, or out of bounds."""
    kind: str = problem["type"]
    context: Mapping[str, Any] = problem.get("ctx", {})
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {_found(value)}", _type_remedy({kind}, value)
    if kind == "literal_error":
        return f"expected {_listed(_literal_words(problem))}, found {_found(value)}", _near_literal([problem], value)
    if kind == "string_pattern_mismatch":
        examples = shape.examples(path)
        expected = f"such as {examples[0]!r}" if examples else f"that matches {context['pattern']}"
        return f"expected a text {expected}, found {_found(value)}", ""
    if kind in _SIZES:
        return f"expected {_SIZES[kind].format(**context)}, found {context.get('actual_length', 'more')}", ""
    if kind in _BOUNDS:
        name, sign = _BOUNDS[kind]
        return f"expected a number {sign} {_number(context[name])}, found {_found(value)}", ""
    message: str = problem["msg"]
    return f"{message[:1].lower()}{message[1:]}, found {_found(value)}", ""


def _unknown_key(path: tuple[Key, ...], shape: Shape) -> Finding:
    key = str(path[-1])
    known = shape.keys(path[:-1])
    below = [f"`{name}:`" for name in known if key in shape.keys((*path[:-1], name))]
    if below:
        return error(path, f"the key {key[:80]!r} is not known here", f"it belongs under {_listed(below)}", at_key=True)
    near = get_close_matches(key.lower(), known, n=1, cutoff=0.6)
    if near:
        return error(path, f"the key {key[:80]!r} is not known here", f"did you mean {near[0]!r}?", at_key=True)
    for depth in range(len(path) - 2, -1, -1):
        if key in shape.keys(path[:depth]):
            owner = dotted(path[:depth]) or "the top of the file"
            return error(path, f"the key {key[:80]!r} is not known here", f"it belongs to {owner}", at_key=True)
    return error(
        path, f"the key {key[:80]!r} is not known here", f"known are {', '.join(known[:_SUGGESTED_MAX])}" if known else "", at_key=True
    )


def _own_words(problem: Problem) -> tuple[str, str]:
    """What one of our own validators said; a remedy follows a semicolon, or stands in brackets at the end."""
    cause = problem.get("ctx", {}).get("error")
    text = str(cause) if cause is not None else str(problem["msg"])
    what, _, remedy = text.partition("; ")
    if not remedy and what.endswith(")") and " (" in what:
        what, _, remedy = what[:-1].rpartition(" (")
    return what, remedy


def _near_literal(problems: list[Problem], value: object) -> str:
    if not isinstance(value, str):
        return ""
    words = [word.strip("'") for problem in problems for word in _literal_words(problem)]
    near = get_close_matches(value.lower(), words, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else ""


def _literal_words(problem: Problem) -> list[str]:
    expected: str = problem["ctx"]["expected"]
    return [_PYTHON_WORDS.get(word, word) for word in expected.replace(" or ", ", ").split(", ")]


def _type_remedy(kinds: set[str], value: object) -> str:
    if "string_type" in kinds and isinstance(value, (bool, int, float)):
        return "quotes around it make it a text"
    if not isinstance(value, str):
        return ""
    if "bool_type" in kinds and value.lower() in _FLAG_WORDS:
        return f"did you mean {_FLAG_WORDS[value.lower()]}?"
    if kinds & {"int_type", "float_type"} and value.replace(".", "", 1).removeprefix("-").isdigit():
        return "remove the quotes"
    return ""


def _example(path: tuple[Key, ...], shape: Shape) -> str:
    examples = shape.examples(path)
    return f"such as {path[-1]}: {examples[0]}" if examples else ""


def _listed(words: list[str], last: str = "or") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _found(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= _FOUND_LENGTH_MAX else f"{text[:_FOUND_LENGTH_MAX]}…"
