"""Ends runs by their id."""

from __future__ import annotations

from edgematrix.errors import RunError
from edgematrix.protocol.path import AgentPath, is_below
from edgematrix.runtime.engine import Engine

__all__ = ["cancel_run"]


def cancel_run(engine: Engine, path: AgentPath, runid: str, now_us: int) -> int:
    """End the run `runid` wherever it is at `path` or below, with all its steps; how many agents worked on it.

    Whoever called for it hears that it was cancelled. What has not begun does not begin; an agent elsewhere is told.

    Raises:
        RunError: nothing of this run is under way there.
    """
    found = [run for holder in engine.holders_of(path) for run in holder.runs() if run.trail.runid == runid] if runid else []
    call = engine.calls.open.get(runid)
    if call is not None and not (call.receiver == path or is_below(call.receiver, path)):
        call = None
    if not found and call is None:
        raise RunError(f"no run {runid[:80]!r} is under way", where=path, remedy="`edgematrix trace` tells the runs with their ids")
    if call is not None:
        engine.hang_up(call, now_us)
        call.failure = "it was cancelled"
        call.answered(call, now_us)
    for run in found:
        run.runner.cancel(run, now_us)
    return max(len(found), 1)
