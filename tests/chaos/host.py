"""One host of the chain, as a process: `python -m tests.chaos.host NAME MATRIX URL STATE`."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.launch import Launch, run_here
from edgematrix.config.opening import open_matrix
from edgematrix.config.places import Places

__all__ = ["main"]


def main(name: str, matrix: str, url: str, state: str) -> None:
    """Run what the matrix gives to this host."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    opened = open_matrix(Path(matrix))
    tree = AgentTree.of(opened.spec)
    hosts = {node.path: node.spec.host for node in tree if node.spec.host is not None}
    for node in tree:  # an agent that names no host goes with the one above it
        hosts.setdefault(node.path, hosts.get(node.path.rpartition("/")[0], ""))
    how = Launch(name=name, folder=Path(state), url=url, places=Places(here=name, hosts=hosts))
    asyncio.run(run_here(opened, how))


if __name__ == "__main__":
    main(*sys.argv[1:])
