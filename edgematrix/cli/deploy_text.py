"""What a deployment changes, and who runs where, as lines."""

from __future__ import annotations

from collections.abc import Iterable

from edgematrix.cli.console import plain, style
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.spec import MatrixSpec
from edgematrix.hosting.change import Change
from edgematrix.hosting.manifest import Manifest
from edgematrix.protocol.path import AgentPath

__all__ = ["placed_lines", "plan_lines"]

_WIDTH_MAX = 48
_AGENTS_NAMED_MAX = 8


def plan_lines(manifest: Manifest, before: Manifest | None, change: Change) -> list[str]:
    """What is added (+), removed (-), changed (~) and moved (>)."""
    was = "not deployed yet" if before is None or not before.revision else f"now {before.revision}"
    lines = [f"{manifest.matrix}, revision {manifest.revision} ({was})"]
    if change.is_head:
        lines.append("  ~ the matrix as a whole: every host starts its agents anew, with their states")
    width = min(
        _WIDTH_MAX, max(map(len, (*change.added, *change.changed, *change.removed, *(move.path for move in change.moved))), default=0)
    )
    moved = {move.path for move in change.moved}
    lines += [_line("+", "green", path, _host(manifest, path), width) for path in change.added]
    lines += [_line("~", "yellow", path, _host(manifest, path), width) for path in change.changed if path not in moved]
    for move in change.moved:
        also = ", changed" if move.path in change.changed else ""
        lines.append(_line(">", "cyan", move.path, f"{move.start or 'nowhere'} -> {move.end or 'nowhere'}{also}", width))
    lines += [_line("-", "red", path, "" if before is None else _host(before, path), width) for path in change.removed]
    touched = len({*change.added, *change.changed, *moved})
    same = len(manifest.paths) - touched
    if same and before is not None and not change.is_head:
        lines.append(f"  {same} stay as they are")
    return lines


def placed_lines(manifest: Manifest, spec: MatrixSpec) -> list[str]:
    """Each host with the agents that it is given, and where those go that may move."""
    by_host: dict[str, list[AgentPath]] = {}
    boards = 0
    for node in AgentTree.of(spec):
        if node.is_board:
            boards += 1
            continue
        hosts = manifest.hosts_of(node.path)
        if hosts:
            by_host.setdefault(hosts[0], []).append(node.path)
    width = max(map(len, by_host), default=0)
    lines = [f"{name.ljust(width)}  {_counted(paths)}" for name, paths in sorted(by_host.items())]
    for path, hosts in manifest.places.items():
        if len(hosts) > 1:
            lines.append(f"{plain(path)} moves to {', then '.join(hosts[1:])} when {hosts[0]} is gone")
    if boards:
        lines.append(f"{boards} {'speaks for itself' if boards == 1 else 'speak for themselves'}, as a board does")
    return lines


def _counted(paths: Iterable[AgentPath]) -> str:
    found = list(paths)
    named = ", ".join(path.partition("/")[2] for path in found[:_AGENTS_NAMED_MAX])
    more = f" and {len(found) - _AGENTS_NAMED_MAX} more" if len(found) > _AGENTS_NAMED_MAX else ""
    return f"{len(found)} {'agent' if len(found) == 1 else 'agents'}: {named}{more}"


def _host(manifest: Manifest, path: AgentPath) -> str:
    hosts = manifest.hosts_of(path)
    return hosts[0] if hosts else ""


def _line(sign: str, colour: str, path: str, what: str, width: int) -> str:
    return f"  {style(sign, fg=colour)} {plain(path).ljust(width)}  {plain(what)}".rstrip()
