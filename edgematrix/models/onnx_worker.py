"""The program of an ONNX model's process: `python -m edgematrix.models.onnx_worker FILE SIGNATURE MEMORY_BYTES_MAX LOAD_S_MAX`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from edgematrix.models.onnx_wire import Signature, WindowAsked
from edgematrix.models.serving import Served, serve


def main(words: list[str]) -> None:
    """Serve the model that the command line names; `SIGNATURE` is JSON."""
    file, said, memory_bytes_max, load_s_max = words
    signature = msgspec.json.decode(said, type=Signature)

    def load() -> Served:
        # numpy's own threads would each reserve address space, and nothing here uses them.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from edgematrix.models.onnx_session import OnnxSession  # noqa: PLC0415 - within the bounds, and after the variable

        return OnnxSession(Path(file), signature)

    serve(load, WindowAsked, memory_bytes_max=int(memory_bytes_max), load_s_max=float(load_s_max))


if __name__ == "__main__":
    main(sys.argv[1:])
