"""What is wrong, or looks wrong, in a `do:` list before it is compiled (docs/spec/triggers.md, "Checked when the file is read")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from edgematrix.agents.spec import ActionSpec
from edgematrix.protocol.duration import SECOND_US, format_duration

__all__ = ["ACTIONS_MAX", "ActionFinding", "check_actions"]

ACTIONS_MAX = 1_000
"""Actions of one `do:`, each output port of an `emit` counted for itself; so one advance of a run has a bounded number of effects."""

_DELAY_MAX_US = 30 * SECOND_US
_KINDS = ("publish", "emit", "send", "call", "delay", "stop")


class ActionFinding(msgspec.Struct, frozen=True):
    """One finding; `path` begins at the group, as in `("do", 2, "delay")`."""

    severity: Literal["error", "warning"]
    path: tuple[str | int, ...]
    what: str
    remedy: str = ""

    @property
    def where(self) -> str:
        """The path as text: `do.2.delay`."""
        return ".".join(str(part) for part in self.path)


def check_actions(actions: Sequence[ActionSpec], *, durable: bool) -> list[ActionFinding]:
    """Look through a `do:` list. `durable`: whether its runs outlive a restart."""
    findings = list(_check_size(actions))
    for number, action in enumerate(actions):
        findings.extend(_check_one(number, action, durable=durable))
    return findings


def _check_size(actions: Sequence[ActionSpec]) -> Iterator[ActionFinding]:
    total = sum(max(len(action.emit or ()), 1) for action in actions)
    if total > ACTIONS_MAX:
        yield ActionFinding(
            "error", ("do",), f"`do` has {total} actions, at most {ACTIONS_MAX} are allowed", "move a part into an agent of its own"
        )


def _check_one(number: int, action: ActionSpec, *, durable: bool) -> Iterator[ActionFinding]:
    place = ("do", number)
    given = [kind for kind in _KINDS if getattr(action, kind) is not None]
    if len(given) != 1:
        found = "none" if not given else " and ".join(given)
        remedy = f"write one entry for each of {', '.join(given)}" if given else ""
        yield ActionFinding("error", place, f"an entry of `do` is exactly one of {', '.join(_KINDS)}; found {found}", remedy)
        return
    if action.emit is not None and not action.emit:
        yield ActionFinding("error", (*place, "emit"), "`emit` names no output port", "emit: {out: …}")
    if action.delay is not None and action.delay > _DELAY_MAX_US and not durable:
        what = f"a restart during the delay of {format_duration(action.delay)} ends the run, and what follows never comes"
        yield ActionFinding("warning", (*place, "delay"), what, "use `for:` in a second group, or make the agent durable")
    if action.publish is not None and _toggles(action.publish.payload):
        what = "a toggle may be delivered twice, and then does nothing"
        yield ActionFinding("warning", (*place, "publish", "payload"), what, "publish the state that is wanted")


def _toggles(payload: object) -> bool:
    if isinstance(payload, str):
        return payload.strip().lower() == "toggle"
    if isinstance(payload, Mapping):
        return any(_toggles(part) for part in payload.values())
    return isinstance(payload, (list, tuple)) and any(_toggles(part) for part in payload)
