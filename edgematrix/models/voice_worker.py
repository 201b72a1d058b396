"""The program of a voice's models: `python -m edgematrix.models.voice_worker EARS_FILE MEMORY_BYTES_MAX LOAD_S_MAX`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from edgematrix.models.serving import Served, serve
from edgematrix.models.voice_wire import Ears, Sound


def main(words: list[str]) -> None:
    """Listen as the file says; it is JSON."""
    file, memory_bytes_max, load_s_max = words
    ears = msgspec.json.decode(Path(file).read_bytes(), type=Ears)

    def load() -> Served:
        # Threads of libraries would each reserve address space, and nothing here uses them.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        from edgematrix.models.voice_session import VoiceSession, recogniser_of  # noqa: PLC0415 - within the bounds, after the variables

        return VoiceSession(ears, recogniser_of(ears))

    serve(load, Sound, memory_bytes_max=int(memory_bytes_max), load_s_max=float(load_s_max))


if __name__ == "__main__":
    main(sys.argv[1:])
