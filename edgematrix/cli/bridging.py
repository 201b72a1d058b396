"""What all `edgematrix bridge …` have: the options of the broker, and running until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["AccessOption", "BrokerOption", "run_until_signal"]

BrokerOption = Annotated[
    str | None,
    typer.Option("--broker", "--url", metavar="URL", envvar="EDGEMATRIX_BROKER", help="In place of the broker that the matrix names."),
]
AccessOption = Annotated[
    Path | None, typer.Option("--access", metavar="DIR", help="The folder of `provision`: each device comes in as itself.")
]


async def run_until_signal(bridge: Coroutine[Any, Any, None]) -> None:
    """Run a bridge; a signal lets it say goodbye.

    Raises:
        EdgeMatrixError: why it ended by itself.
    """
    running = asyncio.create_task(bridge)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    await asyncio.wait({running})
    if not running.cancelled():
        running.result()
