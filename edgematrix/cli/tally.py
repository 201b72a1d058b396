"""What the live view knows of a running matrix: counters, newest values and newest runs, taken in at little cost a message."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.spec import MatrixSpec
from edgematrix.protocol.path import is_below
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.observation import DeadLettered, Dropped, Fired, Observation, Outcome, Published, Received, RunEnded, Stalled

__all__ = ["AgentRow", "RunRow", "Tally", "Trouble"]

RUNS_MAX = 50
"""Runs that are remembered."""
EFFECTS_MAX = 4
"""Publications that a run's row remembers; the rest is counted."""
TROUBLES_MAX = 20

Trouble = DeadLettered | Dropped | Stalled | RunEnded


@dataclass(slots=True)
class RunRow:
    """One run: what fired, what it put out, how it ended (None while it goes)."""

    fired: Fired
    effects: list[Published] = field(default_factory=list)
    effect_count: int = 0
    outcome: Outcome | None = None


@dataclass(slots=True)
class AgentRow:
    """One agent. `last` is what it put out last."""

    path: str
    last: Published | None = None
    published_count: int = 0
    fired_count: int = 0
    failed: bool = False
    open_runs: dict[tuple[str, int], RunRow] = field(default_factory=dict)


class Tally:
    """An observer of an engine. The matrix's own row takes what is no agent's.

    Args:
        boards: agents that are shown too, though the matrix may not name them.
    """

    def __init__(self, spec: MatrixSpec, boards: Collection[str] = ()) -> None:
        tree = AgentTree.of(spec)
        here = [spec.matrix, *tree.nodes]
        paths = here.copy()
        for board in sorted(boards):
            _grow(paths, board)
        self.agents = {path: AgentRow(path) for path in paths}
        self.elsewhere = frozenset(node.path for node in tree if node.is_elsewhere) | (frozenset(boards) - frozenset(here))
        """Agents that run elsewhere; of them is shown what an agent here listens to."""
        self.frames = frozenset(paths) - self.elsewhere - frozenset(here)
        """What holds nothing but boards."""
        self.runs: deque[RunRow] = deque(maxlen=RUNS_MAX)
        self.troubles: deque[Trouble] = deque(maxlen=TROUBLES_MAX)
        self.counts: Counter[str] = Counter()
        self._matrix = self.agents[spec.matrix]
        self._handlers: dict[type, Callable[[Any], None]] = {
            Fired: self._fired,
            Published: self._published,
            RunEnded: self._ended,
            DeadLettered: self.troubles.append,
            Dropped: self.troubles.append,
            Stalled: self.troubles.append,
        }
        self._outputs = f"{spec.root}/{Kind.OUT}/"
        if self.elsewhere:
            self._handlers[Received] = self._received

    def __call__(self, observation: Observation) -> None:
        """Take one in."""
        kind = type(observation)
        self.counts[kind.__name__] += 1
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(observation)

    def _fired(self, seen: Fired) -> None:
        agent = self.agents.get(seen.path, self._matrix)
        agent.fired_count += 1
        row = RunRow(seen)
        agent.open_runs[seen.group, seen.run] = row
        self.runs.append(row)

    def _published(self, seen: Published) -> None:
        agent = self.agents.get(seen.path, self._matrix)
        agent.published_count += 1
        agent.last = seen
        if agent.open_runs:
            row = next(reversed(agent.open_runs.values()))
            row.effect_count += 1
            if len(row.effects) < EFFECTS_MAX:
                row.effects.append(seen)

    def _received(self, seen: Received) -> None:
        """Take in what an agent elsewhere says."""
        if seen.topic.startswith(self._outputs):
            path = seen.topic[len(self._outputs) :].rpartition("/")[0]
            if path in self.elsewhere:
                row = self.agents[path]
                row.published_count += 1
                row.last = Published(seen.at_us, path, seen.topic, seen.value)

    def _ended(self, seen: RunEnded) -> None:
        agent = self.agents.get(seen.path, self._matrix)
        row = agent.open_runs.pop((seen.group, seen.run), None)
        if row is not None:
            row.outcome = seen.outcome
        agent.failed = seen.outcome is Outcome.FAILED
        if agent.failed or seen.outcome is Outcome.ABANDONED:
            self.troubles.append(seen)


def _grow(paths: list[str], path: str) -> None:
    """Add a path, and those that it is in, to a list in the order of the tree: last among what its parent holds."""
    if path in paths:
        return
    parent = path.rpartition("/")[0]
    if parent:
        _grow(paths, parent)
    held = [place for place, known in enumerate(paths) if known == parent or is_below(known, parent)]
    paths.insert(held[-1] + 1 if held else len(paths), path)
