"""Runs a gateway: a UDP socket on one side, a connection to the broker for each node on the other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

from edgematrix.errors import UsageError
from edgematrix.protocol.topic import DEFAULT_ROOT
from edgematrix.runtime.clock import SystemClock
from firmware_bridge.mqtt_sn.gateway import Gateway
from firmware_bridge.mqtt_sn.post import NodePlace, Post
from firmware_bridge.mqtt_sn.rules import Rules
from firmware_bridge.mqtt_sn.topic_ids import KnownTopics

__all__ = ["Bridge"]

Address = tuple[Any, ...]


class Bridge(asyncio.DatagramProtocol):
    """A gateway that runs.

    Args:
        nodes: by the client id with which each of them connects.
        known: topics that have a number beforehand.
        told: hears each change in a sentence.
    """

    def __init__(
        self,
        nodes: Mapping[str, NodePlace],
        known: KnownTopics,
        told: Callable[[str], None],
        *,
        root: str = DEFAULT_ROOT,
        rules: Rules | None = None,
    ) -> None:
        rules = rules or Rules()
        self._clock = SystemClock()
        self._told = told
        self._socket: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_us: int | None = None
        self._ended = False
        self._posts = {
            name: Post(place, root, rules, known, self._clock, self._sender(name), self._settled, told) for name, place in nodes.items()
        }
        self.gateway: Gateway[Address] = Gateway({name: post.node for name, post in self._posts.items()}, known, rules)

    async def run(self, host: str, port: int, ready: Callable[[str, int], None]) -> None:
        """Listen until it is cancelled; then every node is told to be offline.

        Args:
            ready: hears on which address it listens.

        Raises:
            UsageError: nobody can listen there.
        """
        loop = asyncio.get_running_loop()
        try:
            made, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        except (OSError, socket.gaierror) as error:
            what = f"nobody can listen there: {error.strerror or error}"
            raise UsageError(what, where=f"{host}:{port}", remedy="another --listen HOST:PORT") from None
        try:
            where = made.get_extra_info("sockname")
            ready(str(where[0]), int(where[1]))
            await loop.create_future()
        finally:
            self._ended = True
            await asyncio.gather(*(post.end() for post in self._posts.values()))
            if self._timer is not None:
                self._timer.cancel()
            made.close()

    # What the socket tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._socket = cast("asyncio.DatagramTransport", transport)  # asyncio's own is none by its class

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """A datagram."""
        if self._ended:
            return
        name, answer = self.gateway.datagram(data, addr, self._clock.now_us())
        if answer is not None and self._socket is not None:
            self._socket.sendto(answer, addr)
        if name is not None:
            self._posts[name].settle()

    def error_received(self, exc: Exception) -> None:
        """A node's machine says that nobody listens there; its silence tells the rest."""
        del exc
        self.gateway.counts["unreachable"] += 1

    # To the nodes, and with time

    def _sender(self, name: str) -> Callable[[bytes], None]:
        def send(datagram: bytes) -> None:
            where = self.gateway.address(name)
            if where is not None and self._socket is not None:
                self._socket.sendto(datagram, where)

        return send

    def _settled(self) -> None:
        """Wake when something is due."""
        due_us = self.gateway.due_us()
        if due_us == self._timer_us and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_us = due_us
        if due_us is not None and not self._ended:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, self._clock.wait_s(due_us)), self._advance)

    def _advance(self) -> None:
        self._timer = None
        for name in list(self.gateway.advance(self._clock.now_us())):
            self._posts[name].settle()
        self._settled()
