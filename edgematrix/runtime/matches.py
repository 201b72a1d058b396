"""How far trigger groups are from firing, for as long as somebody watches."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.account import Account
from edgematrix.runtime.group_runner import GroupRunner

__all__ = ["Match", "Matches"]

_SHOWN_MAX = 256
"""How many are followed at once; the one that changed longest ago goes."""


class Match(NamedTuple):
    """Which state of which group: `key` is None where the group has no keys."""

    path: AgentPath
    group: str
    key: str | None


class Matches:
    """Tells the partial matches of groups, each when it has changed.

    A group with keys has a match for each key that something has happened to since somebody watches.
    """

    def __init__(self, groups: Iterable[GroupRunner]) -> None:
        self._groups = groups
        self._shown: OrderedDict[Match, str] = OrderedDict()
        self._touched: dict[Match, None] = {}

    @cached_property
    def _runners(self) -> dict[tuple[AgentPath, str], GroupRunner]:
        """The groups by their names, for the first who watches: of 10,000 this takes 2 MB."""
        return {(runner.agent, runner.group.name): runner for runner in self._groups}

    @property
    def touched(self) -> bool:
        """Whether something has happened that is not told yet."""
        return bool(self._touched)

    def touch(self, path: str, group: str, key: str | None) -> None:
        """Note that something has happened to a group. Without its key, in a group that has keys, it concerns all of them."""
        runner = self._known().get((AgentPath(path), group))
        if runner is None:
            return
        if key is None and runner.keyed:
            self._touched.update((match, None) for match in self._shown if match[:2] == (path, group))
        elif len(self._touched) < _SHOWN_MAX:
            self._touched[Match(runner.agent, group, key)] = None

    def begin(self, is_meant: Callable[[GroupRunner], bool], heard_of: Iterable[Match], now_us: int, at: str) -> tuple[list[Account], int]:
        """The matches of the groups that are meant, as they are now, each with its `path`; from now on they are followed.

        Args:
            is_meant: whether a group is asked about.
            heard_of: keys that something has happened to before somebody watched.

        Returns:
            The matches, and how many more there are.
        """
        meant = {place: runner for place, runner in self._known().items() if is_meant(runner)}
        found = dict.fromkeys(Match(*place, None) for place, runner in meant.items() if not runner.keyed)
        for match in (*self._shown, *heard_of):
            if match.key is not None and match[:2] in meant:
                found[match] = None
        shown = list(found)[:_SHOWN_MAX]
        return [{"path": match.path, **self._told(match, self._describe(match, now_us), at)} for match in shown], len(found) - len(shown)

    def changed(self, now_us: int, at: str) -> Iterator[tuple[Match, Account]]:
        """Those that something has happened to, and that are not as they were told last."""
        touched, self._touched = self._touched, {}
        for match in touched:
            before = self._shown.get(match)
            text = self._describe(match, now_us)
            if text != before:
                yield match, self._told(match, text, at)

    def run_down(self, now_us: int, at: str) -> Iterator[tuple[Match, Account]]:
        """Those that time alone has changed: a window or a `for` that runs down."""
        for match, before in list(self._shown.items()):
            text = self._known()[match[:2]].match(now_us, match.key)
            if text != before:
                self._shown[match] = text
                yield match, self._told(match, text, at, by="time")

    def forget(self) -> None:
        """Nobody watches."""
        self._shown.clear()
        self._touched.clear()
        self._runners = {}

    def refresh(self) -> None:
        """Other groups live here now."""
        self._runners = {}
        if self._shown or self._touched:
            known = self._known()
            for match in [match for match in self._shown if match[:2] not in known]:
                del self._shown[match]
            self._touched = {match: None for match in self._touched if match[:2] in known}

    def keep(self, is_watched: Callable[[str], bool]) -> None:
        """Forget what nobody watches any more."""
        for match in [match for match in self._shown if not is_watched(match.path)]:
            del self._shown[match]
        self._touched = {match: None for match in self._touched if is_watched(match.path)}

    def _known(self) -> dict[tuple[AgentPath, str], GroupRunner]:
        if not self._runners:
            self._runners = {(runner.agent, runner.group.name): runner for runner in self._groups}
        return self._runners

    def _describe(self, match: Match, now_us: int) -> str:
        text = self._known()[match[:2]].match(now_us, match.key)
        self._shown[match] = text
        self._shown.move_to_end(match)
        if len(self._shown) > _SHOWN_MAX:
            self._shown.popitem(last=False)
        return text

    @staticmethod
    def _told(match: Match, text: str, at: str, by: str = "event") -> Account:
        return {"kind": "match", "at": at, "group": match.group, "key": match.key, "text": text, "by": by}
