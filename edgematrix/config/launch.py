"""Puts a matrix on its broker: engine, store, transport and, where it asks for one, an embedded broker."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgematrix.config.build import Surroundings, build
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.spec import MatrixSpec
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.clock import SystemClock
from edgematrix.runtime.host import Host
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.session import offline_will
from edgematrix.runtime.sqlite_store import SqliteStore
from edgematrix.runtime.workshop import Workshop

if TYPE_CHECKING:
    from edgematrix.config.agent import Agent

__all__ = ["Launch", "launch", "run_matrix"]

_log = logging.getLogger(__name__)

STATE_FOLDER = ".edgematrix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a matrix is to be run here.

    `url` overrides the broker that the matrix names. `folder` is where states and an embedded broker's data go; `code` is where
    the modules of agents may be loaded from, `allowed` which installed ones may be, `defined` the agents that exist already.
    `changed` is called with a sentence when the connection comes or goes.
    """

    name: str
    folder: Path
    url: str | None = None
    code: Path | None = None
    allowed: Collection[str] = ()
    defined: Mapping[AgentPath, Agent[Any]] | None = None
    changed: Callable[[str], None] = _log.info


@dataclass(frozen=True, slots=True)
class Launched:
    """A host that is ready to run, and the broker that it will use."""

    host: Host
    url: str
    broker: str


@asynccontextmanager
async def launch(spec: MatrixSpec, how: Launch) -> AsyncIterator[Launched]:
    """Build the host of a matrix, with its broker running; the broker ends with the context.

    Raises:
        ConfigError: the matrix cannot be built.
        BusError: an embedded broker does not start.
        UsageError: the broker's address is wrong.
        StateError: the states cannot be read.
    """
    from edgematrix.runtime.broker import EmbeddedBroker  # noqa: PLC0415 - a host on a foreign broker does not need it

    clock = SystemClock()
    new_id = id_maker()
    session = new_id(clock.wall_us())
    loader = CodeLoader(how.code, how.allowed, how.defined)
    assembly = build(spec, Surroundings(clock=clock, new_id=new_id, workshop=lambda limits, stalled: Workshop(clock, limits, stalled), loader=loader))
    address = how.url or spec.broker
    store = SqliteStore(how.folder / f"{spec.matrix}.sqlite")
