"""Answers questions about the runs of a host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from edgematrix.errors import PathError
from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.account import Account
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.history import History
from edgematrix.runtime.run_account import parts_of, summary_of, works_of

__all__ = ["PREFIX_LENGTH_MIN", "RunTeller"]

PREFIX_LENGTH_MIN = 8
_NAMED_MAX = 5
"""Ids that a refusal names."""

IsMeant = Callable[[str], bool]
"""Whether an agent is of the part of the tree that is asked about."""


class RunTeller:
    """Tells runs as data, in parts that a message can hold.

    Args:
        engine: whose agents say what they wait for.
        part_bytes_max: how large a part may be, about.
    """

    def __init__(self, engine: Engine, history: History, part_bytes_max: int) -> None:
        self._engine = engine
        self._history = history
        self._part_bytes_max = part_bytes_max

    def newest(self, number_max: int, is_meant: IsMeant) -> Iterator[Account]:
        """The newest runs, newest first: `{runs: […]}`, at least one part."""
        skew_us = self._engine.skew_us
        summaries = (summary_of(record, skew_us) for record in self._history.runs.roots())
        meant = (told for told in summaries if is_meant(str(told["path"])))
        part: list[Account] = []
        room = self._part_bytes_max
        for told in islice(meant, number_max):
            size = len(encode_value(told))
            if part and size > room:
                yield {"runs": part}
                part, room = [], self._part_bytes_max
            part.append(told)
            room -= size
        yield {"runs": part}

    def one(self, beginning: str, is_meant: IsMeant) -> Iterator[Account]:
        """A run, by its id or the beginning of it: `{run: {id, works}}`, at least one part.

        Raises:
            PathError: no such run is kept, or several begin so.
        """
        runid = self._find(beginning)
        works = [] if runid is None else self._works(runid, is_meant)
        if not works or runid is None:
            raise PathError(f"no run {beginning[:80]} is kept here", remedy="`edgematrix trace --runs` lists those that are")
        return ({"run": {"id": runid, "works": part}} for part in parts_of(works, _size_of, self._part_bytes_max))

    def several(self, runids: list[str], is_meant: IsMeant) -> Iterator[Account]:
        """The runs of these ids, as far as they are kept: at least one part, which holds no work where none is."""
        works = [work for runid in dict.fromkeys(runids) for work in self._works(runid, is_meant)]
        return ({"run": {"id": None, "works": part}} for part in parts_of(works, _size_of, self._part_bytes_max))

    def _find(self, beginning: str) -> str | None:
        if self._history.runs.record(beginning) is not None:
            return beginning
        if len(beginning) < PREFIX_LENGTH_MIN:
            return None
        found = self._history.runs.matching(beginning)
        roots = [runid for runid in found if self._history.runs.is_root(runid)]
        found = roots or found  # a run and what it calls have much in common, as they are made at about the same time
        if len(found) > 1:
            more = f" and {len(found) - _NAMED_MAX} more" if len(found) > _NAMED_MAX else ""
            raise PathError(
                f"{len(found)} runs begin with {beginning}: {', '.join(found[-_NAMED_MAX:])}{more}", remedy="give more of the id"
            )
        return found[0] if found else None

    def _works(self, runid: str, is_meant: IsMeant) -> list[Account]:
        record = self._history.runs.record(runid)
        if record is None:
            return []
        works = works_of(record, runid, self._waits_for, self._engine.skew_us)
        return [work for work in works if is_meant(str(work["path"]))]

    def _waits_for(self, path: str, runid: str) -> str:
        told = (holder.waits_for(runid) for holder in self._engine.holders.get(AgentPath(path), ()))
        return next(filter(None, told), "")


def _size_of(value: object) -> int:
    return len(encode_value(value))
