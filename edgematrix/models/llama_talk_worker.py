"""The program of the process of a llama.cpp model that talks: `python -m … FILE MEMORY_BYTES_MAX LOAD_S_MAX CONTEXT THREADS [KEPT]`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from edgematrix.models.serving import Served, serve
from edgematrix.models.talk import Talk


def main(words: list[str]) -> None:
    """Serve the model that the command line names."""
    file, memory_bytes_max, load_s_max, context, threads, *kept = words

    def load() -> Served:
        # Threads of OpenMP that wait would otherwise burn a core; it is read when the library is loaded.
        os.environ.setdefault("GOMP_SPINCOUNT", "0")
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread of numpy's would reserve address space, and none has work
        from edgematrix.models.llama_speech import LlamaSpeech  # noqa: PLC0415 - within the bounds, and after the variable

        return LlamaSpeech(Path(file), context=int(context), threads=int(threads), kept=Path(kept[0]) if kept else None)

    serve(load, Talk, memory_bytes_max=int(memory_bytes_max), load_s_max=float(load_s_max))


if __name__ == "__main__":
    main(sys.argv[1:])
