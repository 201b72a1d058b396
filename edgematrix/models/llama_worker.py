"""The program of a llama.cpp model's process: `python -m edgematrix.models.llama_worker FILE MEMORY_BYTES_MAX LOAD_S_MAX`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from edgematrix.models.choice import Choose
from edgematrix.models.serving import Served, serve


def main(words: list[str]) -> None:
    """Serve the model that the command line names."""
    file, memory_bytes_max, load_s_max = words

    def load() -> Served:
        # Threads of OpenMP that wait would otherwise burn a core; it is read when the library is loaded.
        os.environ.setdefault("GOMP_SPINCOUNT", "0")
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread of numpy's would reserve address space, and none has work
        from edgematrix.models.llama import LlamaPicker  # noqa: PLC0415 - within the bounds, and after the variable

        return LlamaPicker(Path(file))

    serve(load, Choose, memory_bytes_max=int(memory_bytes_max), load_s_max=float(load_s_max))


if __name__ == "__main__":
    main(sys.argv[1:])
