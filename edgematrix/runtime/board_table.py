"""The table of rules that one board judges, as the host knows it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from edgematrix.protocol.path import AgentPath

__all__ = ["EMPTY", "RULES_PORT", "BoardTable", "PushedRule"]

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


EMPTY = BoardTable("", [], ())
"""That of a board of which nothing is known yet."""
