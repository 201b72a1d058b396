"""The table of rules that one board judges, as the host knows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import blake2s
from typing import Any, Final

import msgspec

from edgematrix.protocol.path import AgentPath

__all__ = ["EMPTY", "RULES_PORT", "BoardTable", "PushedRule", "named"]

RULES_PORT: Final = "_rules"
"""On `em/in/{board}/_rules` the table goes to the board, on `em/out/{board}/_rules` its firings come."""


class PushedRule(msgspec.Struct, frozen=True):
    """One trigger group that a board judges: its name in the table, whose it is, and the board's port of each of its sources."""

    name: str
    agent: AgentPath
    group: str
    ports: tuple[str, ...]


class BoardTable(msgspec.Struct, frozen=True):
    """`form` is what travels (docs/spec/triggers.md, "Pushed down"), `name` the hash of what is in it."""

    name: str
    form: list[Any]
    rules: tuple[PushedRule, ...]

    def without_acts(self, is_paused: Callable[[AgentPath], bool]) -> BoardTable:
        """The table whose rules of paused agents do nothing by themselves: the host, which is told, begins no run of these."""
        version, _, quiet, forms = self.form
        if not any(form[-1] and is_paused(rule.agent) for rule, form in zip(self.rules, forms, strict=True)):
            return self
        changed = [[*form[:-1], []] if is_paused(rule.agent) else form for rule, form in zip(self.rules, forms, strict=True)]
        return named(version, quiet, changed, self.rules)


def named(version: int, quiet: list[Any], forms: list[Any], rules: tuple[PushedRule, ...]) -> BoardTable:
    """A table under the hash of what is in it."""
    name = blake2s(json.dumps([version, quiet, forms]).encode(), digest_size=4).hexdigest()
    return BoardTable(name, [version, name, quiet, forms], rules)


EMPTY = BoardTable("", [], ())
"""That of a board of which nothing is known yet."""
