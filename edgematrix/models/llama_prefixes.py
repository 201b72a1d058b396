"""What a model has computed for the beginnings of talks, in files: read in milliseconds where it takes seconds to compute."""

from __future__ import annotations

import ctypes
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import llama_cpp

__all__ = ["FILES_BYTES_MAX", "FILES_MAX", "LlamaPrefixes"]

FILES_MAX: Final = 8
"""Of one model; the ones used longest ago give way."""
FILES_BYTES_MAX: Final = 256 << 20
"""Of all models together."""
_SEQUENCE: Final = 0


class LlamaPrefixes:
    """A folder of states, by what they were computed for: a model, a context, tokens.

    Args:
        llama: the model.
        file: it was loaded from.
        folder: where states are kept. It is made when the first one is.
    """

    def __init__(self, llama: Any, file: Path, folder: Path) -> None:
        self._llama = llama
        self._folder = folder
        about = file.stat()
        self._model = f"{llama_cpp.__version__} {file.resolve()} {about.st_size} {about.st_mtime_ns} {llama.n_ctx()}"
        self._name = hashlib.sha256(self._model.encode()).hexdigest()[:16]

    def load(self, tokens: list[int]) -> bool:
        """Take up what was computed for these tokens; whether it was there, and whole."""
        path = self._path(tokens)
        if not path.is_file():
            return False
        llama, room = self._llama, len(tokens)
        found = (llama_cpp.llama_token * room)()
        count = ctypes.c_size_t(0)
        llama.reset()
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(llama.ctx), True)
        read = llama_cpp.llama_state_seq_load_file(llama.ctx, os.fsencode(path), _SEQUENCE, found, room, ctypes.byref(count))
        if not read or count.value != room or list(found) != tokens:
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(llama.ctx), True)
            with suppress(OSError):
                path.unlink()
            return False
        llama.input_ids[:room] = tokens
        llama.n_tokens = room
        with suppress(OSError):
            os.utime(path)
        return True

    def save(self, tokens: list[int]) -> None:
        """Keep what is computed now, which is for these tokens. A full disk is no error: it is computed again."""
        path = self._path(tokens)
        half = path.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            written = llama_cpp.llama_state_seq_save_file(
                self._llama.ctx, os.fsencode(half), _SEQUENCE, (llama_cpp.llama_token * len(tokens))(*tokens), len(tokens)
            )
            if written:
                half.chmod(0o600)
                half.replace(path)
            self._make_room(path)
        except OSError:
            with suppress(OSError):
                half.unlink(missing_ok=True)

    def _path(self, tokens: list[int]) -> Path:
        key = hashlib.sha256(repr(tokens).encode()).hexdigest()[:32]
        return self._folder / f"{self._name}-{key}.state"

    def _make_room(self, newest: Path) -> None:
        files = sorted(self._folder.glob("*.state"), key=lambda path: (path != newest, -path.stat().st_mtime))
        own, size = 0, 0
        for path in files:
            own += path.name.startswith(self._name)
            size += path.stat().st_size
            if (own > FILES_MAX and path.name.startswith(self._name)) or size > FILES_BYTES_MAX:
                path.unlink(missing_ok=True)
