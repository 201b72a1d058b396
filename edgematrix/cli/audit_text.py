"""Entries of an audit log as lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from edgematrix.access.audit import Verdict
from edgematrix.cli.audit_log import AuditLog, LoggedOrder
from edgematrix.cli.console import plain, style
from edgematrix.cli.display import value_text

__all__ = ["entry_lines", "verdict_line"]

_SIGNS = {"done": ("✓", "green"), "refused": ("✗", "red"), "unknown": ("?", "yellow")}
_SECONDS_LENGTH = len("2026-07-27T08:00:00")


def entry_lines(order: LoggedOrder) -> Iterator[str]:
    """An order: when, who, what, and below it why it was refused."""
    began = order.began
    sign, colour = _SIGNS[order.outcome]
    when = began.at[:_SECONDS_LENGTH].replace("T", " ")
    asked = "" if began.asked in ({}, None, "") else f"  {value_text(began.asked)}"
    who = plain(began.user) or "(nobody)"
    yield f"{style(when, dim=True)}  {style(sign, fg=colour)} {style(who, bold=True)}  {plain(began.verb)} {plain(began.path)}{asked}"
    if order.outcome != "done":
        yield f"{' ' * _SECONDS_LENGTH}    {style(plain(order.reason), fg=colour)}"


def verdict_line(verdict: Verdict, log: AuditLog) -> str:
    """What a verification found."""
    trouble = verdict.trouble
    if trouble is None:
        entries = "1 entry" if verdict.count == 1 else f"{verdict.count} entries"
        begins = f", from {verdict.first}" if verdict.first > 1 else ""
        return f"{style('✓', fg='green')} {entries}{begins}, head {verdict.head.n} {verdict.head.hash}, of {plain(log.host) or 'no host'}"
    entry = f"entry {trouble.n}: " if trouble.line and trouble.n else ""
    return f"{style('✗', fg='red')} {log.place(trouble)}: {entry}{plain(trouble.what)}"
