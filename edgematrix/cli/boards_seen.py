"""What boards say of their programs and rules, and what the broker holds for them, as somebody at a command line hears it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from edgematrix.protocol.path import SEGMENTS_MAX
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.board_table import RULES_PORT
from firmware_bridge.ota.desk import FIRMWARE, UPDATE, Told, read_percent, read_told

__all__ = ["BoardSeen", "BoardsSeen", "RefusedRules"]

_BOARDS_MAX = 10_000
_STATE_BYTES_MAX = 16_384
_FOR_BOARDS = (RULES_PORT, UPDATE)
"""What is retained for a board on names below `em/in`."""


class RefusedRules(msgspec.Struct, frozen=True):
    """Rules that a board did not take."""

    table: str = ""
    reason: str = ""


class _Rules(msgspec.Struct, frozen=True):
    table: str = ""
    refused: RefusedRules | None = None


class _State(msgspec.Struct, frozen=True):
    status: str
    rules: _Rules | msgspec.UnsetType | None = msgspec.UNSET


class BoardSeen(msgspec.Struct):
    """One board. `judges` is None for one that does not say; `table` the rules that it runs, `offered` those that the broker holds."""

    told: Told | None = None
    percent: int | None = None
    judges: bool | None = None
    table: str = ""
    offered: str = ""
    refused: RefusedRules | None = None


class BoardsSeen:
    """Collects them from a bus.

    Args:
        paths: these only; all if there are none.
        matrix: that of which it is asked what the broker holds for boards; none if empty.
    """

    def __init__(self, root: str, paths: Collection[str], matrix: str = "") -> None:
        self._heads = {kind: f"{root}/{kind}/" for kind in (Kind.STATE, Kind.IN)}
        self._only = frozenset(paths)
        self._matrix = matrix
        self._all: dict[str, BoardSeen] = {}
        self.held: dict[str, list[str]] = {}
        """What the broker holds for whom: the names of the topics below `em/in/{path}/`."""

    @property
    def filters(self) -> list[str]:
        """What is to be subscribed."""
        state, given = self._heads.values()
        if self._only:
            found = [f"{state}{path}{name}" for path in self._only for name in ("", f"/{FIRMWARE}", f"/{UPDATE}")]
            return [*found, *(f"{given}{path}/{name}" for path in self._only for name in _FOR_BOARDS)]
        levels = [f"{self._matrix}/{'+/' * depth}" for depth in range(1, SEGMENTS_MAX)] if self._matrix else []
        return [f"{state}#", *(f"{given}{above}{name}" for above in levels for name in _FOR_BOARDS)]

    @property
    def boards(self) -> dict[str, BoardSeen]:
        """Those that say something of a program or of rules, by path."""
        return {path: seen for path, seen in sorted(self._all.items()) if seen.told is not None or seen.judges is not None}

    def take(self, topic: str, payload: bytes) -> None:
        """Take a message."""
        kind = next((kind for kind, head in self._heads.items() if topic.startswith(head)), None)
        rest = "" if kind is None else topic.removeprefix(self._heads[kind])
        if kind is Kind.IN:
            self._take_held(*_split(rest), payload)
        elif kind is Kind.STATE:
            self._take_state(rest, payload)

    def left_over(self, boards: Collection[str]) -> Iterator[str]:
        """The topics below `em/in/` that hold something for those of the matrix that are none of its boards."""
        for path, names in sorted(self.held.items()):
            if path.startswith(f"{self._matrix}/") and path not in boards:
                yield from (f"{path}/{name}" for name in sorted(names))

    def _take_held(self, path: str, name: str, payload: bytes) -> None:
        names = self.held.get(path, [])
        if not payload:
            names = [other for other in names if other != name]
        elif name not in names and (path in self.held or len(self.held) < _BOARDS_MAX):
            names = [*names, name]
        self.held.pop(path, None)
        if names:
            self.held[path] = names
        if name == RULES_PORT:
            self._of(path).offered = _table_name(payload)

    def _take_state(self, rest: str, payload: bytes) -> None:
        path, name = _split(rest)
        if name == FIRMWARE:
            self._of(path).told = read_told(payload) or self._of(path).told
        elif name == UPDATE:
            self._of(path).percent = read_percent(payload)
        elif not name.startswith("_"):
            self._take_life(rest, payload)

    def _take_life(self, path: str, payload: bytes) -> None:
        try:
            state = msgspec.json.decode(payload[:_STATE_BYTES_MAX], type=_State)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if isinstance(state.rules, _Rules):
            seen = self._of(path)
            seen.judges, seen.table, seen.refused = True, state.rules.table, state.rules.refused
        elif state.rules is None:
            self._of(path).judges = False

    def _of(self, path: str) -> BoardSeen:
        if path in self._all or len(self._all) < _BOARDS_MAX:
            return self._all.setdefault(path, BoardSeen())
        return BoardSeen()


def _split(rest: str) -> tuple[str, str]:
    path, _, name = rest.rpartition("/")
    return path, name


def _table_name(payload: bytes) -> str:
    try:
        table = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return table[1] if isinstance(table, list) and len(table) > 1 and isinstance(table[1], str) else ""
