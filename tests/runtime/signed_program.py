"""A host with keys, as a process of its own, that a test may kill: MATRIX KEYS NAME URL STATE."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.launch import Launch, run_here
from edgematrix.config.opening import open_matrix
from edgematrix.config.places import Places


def main() -> None:
    matrix, keys, name, url, state = sys.argv[1:]
    opened = open_matrix(Path(matrix))
    hosts = {node.path: node.spec.host or name for node in AgentTree.of(opened.spec)}
    asyncio.run(run_here(opened, Launch(name=name, folder=Path(state), url=url, keys=Path(keys), places=Places(name, hosts))))


if __name__ == "__main__":
    main()
