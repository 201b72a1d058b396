"""A host without the command line around it, and so without a line for what happens: matrix, url, folder."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edgematrix.config.launch import Launch, run_here
from edgematrix.config.opening import open_matrix

if __name__ == "__main__":
    matrix, url, folder, *allowed = sys.argv[1:]
    asyncio.run(run_here(open_matrix(Path(matrix), allowed), Launch(name="bench", folder=Path(folder), url=url)))
