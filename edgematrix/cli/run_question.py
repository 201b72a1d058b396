"""Asks the hosts of a running matrix about its runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from edgematrix.cli.console import complain, style
from edgematrix.cli.operator import ANSWER_S_MAX, Operator
from edgematrix.cli.run_tree import RunTree
from edgematrix.cli.sighting import Sighting
from edgematrix.cli.target import Target
from edgematrix.cli.visit import Visit, visit
from edgematrix.errors import BusError
from edgematrix.protocol.topic import Kind

__all__ = ["RunQuestion"]

_ROUNDS_MAX = 16
"""How often what a host has called is looked for elsewhere: calls from host to host to host."""
_ASKED_MAX = 100
"""Runs that one question may name."""

Take = Callable[[Mapping[str, object]], None]


class RunQuestion:
    """One visit to a bus, for questions about runs.

    Args:
        path: the part of the tree that is meant; empty for the one matrix there is.
    """

    def __init__(self, target: Target, path: str = "") -> None:
        self._target = target
        self._path = path
        self._operator = Operator(target)
        self._heard = asyncio.Event()
        self._complete: set[str] = set()
        self._refusals: list[BusError] = []
        self._take: Take | None = None

    async def run(self, beginning: str) -> RunTree:
        """All that is known of a run, by its id or the beginning of it.

        Raises:
            BusError: no broker, no host, no answer, or no host knows such a run.
            UsageError: the address is wrong, or there are several matrices.
        """
        tree = RunTree()
        async with visit(self._target.url, self._operator.filters, self._received, qos=1) as guest:
            await self._find()
            await self._ask(guest, {"run": beginning}, lambda told: tree.take(told.get("run")))
            if not tree.runid:
                raise self._refusal()
            asked: set[str] = set()
            for _ in range(_ROUNDS_MAX):
                unknown = [runid for runid in tree.unknown() if runid not in asked][:_ASKED_MAX]
                if not unknown or len(self._hosts()) == 1:
                    break
                asked.update(unknown)
                await self._ask(guest, {"run": unknown}, lambda told: tree.take(told.get("run")))
        return tree

    async def newest(self, number: int) -> list[dict[str, object]]:
        """The newest runs of all hosts, newest first.

        Raises:
            BusError: as `run`.
            UsageError: as `run`.
        """
        found: list[dict[str, object]] = []

        def take(told: Mapping[str, object]) -> None:
            runs = told.get("runs")
            if isinstance(runs, list):
                found.extend(item for item in runs if isinstance(item, dict))

        async with visit(self._target.url, self._operator.filters, self._received, qos=1) as guest:
            await self._find()
            await self._ask(guest, {"runs": number}, take)
        if self._refusals and not found:
            raise self._refusals[0]
        return sorted(found, key=lambda item: str(item.get("began")), reverse=True)[:number]

    def _received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        seen = Sighting.of(topic, payload, qos, retained, self._target.root)
        if seen.kind in (Kind.STATE, Kind.HOST):
            self._operator.agents.take(seen)
            return
        if seen.kind != Kind.REPLY or not isinstance(seen.value, dict):
            return
        if "refused" in seen.value:
            self._refusals.append(BusError(str(seen.value["refused"]), remedy=str(seen.value.get("remedy") or "")))
        elif self._take is not None:
            self._take(seen.value)
        if seen.value.get("last"):
            self._complete.add(seen.path.partition("/")[0])
        self._heard.set()

    async def _find(self) -> None:
        if not self._path:
            self._path = await self._operator.the_one_matrix("trace")
        agents = self._operator.agents
        if not await agents.wait_until(lambda: bool(self._hosts())):
            raise BusError(agents.why_not(self._path), remedy=agents.nearest(self._path))

    def _hosts(self) -> set[str]:
        return self._operator.agents.hosts_of(self._path)

    async def _ask(self, guest: Visit, asked: Mapping[str, object], take: Take) -> None:
        self._complete.clear()
        self._take = take
        await guest.assure(self._operator.request("watch", self._path, {"follow": False, **asked}))
        hosts = self._hosts()
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                while not hosts <= self._complete:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            failure = self._operator.unanswered("watch", hosts - self._complete, guest)
            if not self._complete:
                raise failure from None
            complain(style(failure.what, fg="yellow"))

    def _refusal(self) -> BusError:
        """Why no host has told anything: that several runs are meant says more than that another host knows none."""
        several = [error for error in self._refusals if error.what[:1].isdigit()]
        return (several or self._refusals or [BusError("no host has answered about this run")])[0]
