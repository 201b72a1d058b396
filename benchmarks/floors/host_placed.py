"""One of several hosts of a matrix: its name, the matrix, url, folder, and PATH=HOST for each agent."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edgematrix.config.launch import Launch, run_here
from edgematrix.config.opening import open_matrix
from edgematrix.config.places import Places
from edgematrix.protocol.path import AgentPath

if __name__ == "__main__":
    name, matrix, url, folder, *placed = sys.argv[1:]
    hosts = {AgentPath(path): host for path, _, host in (word.partition("=") for word in placed)}
    launch = Launch(name=name, folder=Path(folder), url=url, places=Places(here=name, hosts=hosts))
    asyncio.run(run_here(open_matrix(Path(matrix), ["benchmarks"]), launch))
