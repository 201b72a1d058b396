"""Which agents say that they are there, and whether their hosts are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from difflib import get_close_matches

from edgematrix.cli.console import plain
from edgematrix.cli.sighting import Sighting
from edgematrix.protocol.path import is_below
from edgematrix.protocol.topic import Kind

__all__ = ["AgentsSeen"]

_NAMED_MAX = 8
_LOOK_S_MAX = 3.0
_QUIET_S = 0.3


class AgentsSeen:
    """Collects the retained `state` and `host` messages of a bus."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._states: dict[str, dict[str, object]] = {}
        self._hosts: dict[str, dict[str, object]] = {}
        self._heard = asyncio.Event()

    def take(self, seen: Sighting) -> None:
        """Take in one of them. What is no such message is no word on anybody; what a host says besides, below its name, is not about it.

        So it is with what is told of an agent besides, on a topic whose last name begins with `_`.
        """
        if (seen.kind == Kind.HOST and "/" in seen.path) or (seen.kind == Kind.STATE and "/_" in seen.path):
            return
        known = self._states if seen.kind == Kind.STATE else self._hosts
        if isinstance(seen.value, dict):
            known[seen.path] = seen.value
        else:
            known.pop(seen.path, None)
        self._heard.set()

    async def wait_until(self, holds: Callable[[], bool]) -> bool:
        """Wait as long as more of what is retained comes in; whether `holds` became true in that time."""
        try:
            async with asyncio.timeout(_LOOK_S_MAX):
                while not holds():
                    self._heard.clear()
                    async with asyncio.timeout(_QUIET_S):
                        await self._heard.wait()
        except TimeoutError:
            return holds()
        return True

    @property
    def hosts(self) -> dict[str, bool]:
        """The hosts by name, and whether each is online."""
        return {name: about.get("status") == "online" for name, about in self._hosts.items()}

    @property
    def ready(self) -> list[str]:
        """The agents that work."""
        return [path for path in self._states if self.is_ready(path)]

    def hosts_of(self, path: str) -> set[str]:
        """The hosts that run an agent, or what is in it; of all agents if the path is empty. A board that connects by itself is none."""
        return {
            str(state.get("host"))
            for agent, state in self._states.items()
            if (not path or agent == path or is_below(agent, path)) and state.get("host") in self._hosts and self._is_attended(state)
        }

    @property
    def matrices(self) -> list[str]:
        """The names of the matrices that have an agent here whose host is online."""
        return sorted({path.partition("/")[0] for path, state in self._states.items() if self._is_attended(state)})

    def revision(self, path: str) -> int:
        """How often an agent's definition was changed since its host read it; 0 where nothing is told."""
        told = self._states.get(path, {}).get("revision")
        return told if isinstance(told, int) else 0

    def is_ready(self, path: str) -> bool:
        """Whether an agent takes work: it says that it is ready, or tries anew with each request, and its host is online."""
        state = self._states.get(path)
        if state is None or not self._is_attended(state):
            return False
        return state.get("status") == "ready" or (state.get("status") == "failed" and state.get("tries") is True)

    def _is_attended(self, state: dict[str, object]) -> bool:
        """Whether the host that tells this state is online, and is the same that told it."""
        if state.get("status") == "offline":
            return False
        host = self._hosts.get(str(state.get("host")))
        if host is None:
            return True  # a device that connects by itself is its own host, and says itself when it goes
        return host.get("status") == "online" and host.get("session") == state.get("session")

    def why_not(self, path: str) -> str:
        """Why an agent is not ready, in words."""
        state = self._states.get(path)
        if state is None:
            return f"no agent {path} is on this bus"
        status = plain(str(state.get("status")))
        if status != "ready":
            return f"{path} is {status}"
        return f"{path} is offline: its host {plain(str(state.get('host')))} is gone"

    def nearest(self, path: str) -> str:
        """Who may have been meant."""
        ready = self.ready
        state = self._states.get(path)
        if state is not None and state.get("status") == "paused" and self._is_attended(state):
            return f"edgematrix resume {path}"
        if state is not None:
            return "start the host, or wait for it"
        near = get_close_matches(path, ready, n=1, cutoff=0.5)
        if near:
            return f"did you mean {near[0]}?"
        if not ready:
            return "no agent is online; start `edgematrix run MATRIX`"
        more = f" and {len(ready) - _NAMED_MAX} more" if len(ready) > _NAMED_MAX else ""
        return f"online are {', '.join(sorted(ready)[:_NAMED_MAX])}{more}"
