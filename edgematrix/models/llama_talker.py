"""A GGUF model that talks, in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edgematrix.models.halt import Halt
from edgematrix.models.llama_model import LOAD_S_MAX
from edgematrix.models.process import ModelProcess
from edgematrix.models.talk import Reply, Saying, Talk

__all__ = ["CONTEXT_TOKENS", "LlamaTalker"]

CONTEXT_TOKENS: Final = 2_048
"""Room for a talk where nothing else is said: 46 MB with SmolLM2."""
_SPARE_BYTES: Final = 1 << 30
"""Address space besides the model's file: Python, libraries, context."""


class LlamaTalker:
    """A `Talker` that llama.cpp runs. Its process starts with the first question, and lives until `close`.

    Args:
        name: for errors.
        file: a GGUF file.
        context: tokens that a talk may have, its answer included.
        threads: that compute.
        memory_bytes_max: of address space; by default the size of the file and 1 GiB.
        kept: the folder for what is kept over a restart; None for nothing.
    """

    def __init__(
        self,
        name: str,
        file: Path,
        *,
        context: int | None = None,
        threads: int = 1,
        memory_bytes_max: int | None = None,
        kept: Path | None = None,
        load_s_max: float = LOAD_S_MAX,
    ) -> None:
        bytes_max = memory_bytes_max if memory_bytes_max is not None else file.stat().st_size + _SPARE_BYTES
        words = [sys.executable, "-P", "-m", "edgematrix.models.llama_talk_worker", str(file), str(bytes_max), str(load_s_max)]
        words += [str(context or CONTEXT_TOKENS), str(threads), *(() if kept is None else (str(kept.absolute()),))]
        self.process = ModelProcess(name, words, load_s_max=load_s_max, environment={"GOMP_SPINCOUNT": "0"})

    @property
    def trouble(self) -> str:
        """Why it is not asked for now."""
        return self.process.trouble

    def talk(self, talk: Talk, timeout_s: float, *, heard: Callable[[Saying], None] | None = None, halt: Halt | None = None) -> Reply:
        """Go on with a talk.

        Raises:
            ModelError: as `ModelProcess.ask`.
        """
        return self.process.ask(talk, Reply, timeout_s, piece=Saying, heard=heard, halt=halt)

    def close(self) -> None:
        """End the process."""
        self.process.close()
