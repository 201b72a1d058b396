"""One host of the chain, as a process: `python -m tests.chaos.host NAME MATRIX URL STATE`."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from edgematrix.config.launch import Launch, run_here
from edgematrix.config.opening import open_matrix
from edgematrix.config.places import Places
from tests.chaos.places import places_of

__all__ = ["main"]


def main(name: str, matrix: str, url: str, state: str) -> None:
    """Run what the matrix gives to this host."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    opened = open_matrix(Path(matrix))
    how = Launch(name=name, folder=Path(state), url=url, places=Places(here=name, hosts=places_of(opened.spec)))
    asyncio.run(run_here(opened, how))


if __name__ == "__main__":
    main(*sys.argv[1:])
