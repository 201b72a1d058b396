"""Speech to the words of a grammar, by pocketsphinx. Runs in a voice's process.

The grammar alone would force whatever is said into one of its sentences. So a second decoder hears the same as any phones in any
order, each at a price; how much more likely the sentence is than the phones, for each of its words, tells how sure it is.
"""

from __future__ import annotations

import math
import tempfile
from array import array
from pathlib import Path
from random import Random
from typing import Any, Final

from pocketsphinx import Decoder

from edgematrix.models.voice_wire import Ears, Noticed

__all__ = ["Sphinx"]

_PHONE: Final = "+phone+"
"""Stands before the name of a word that is one phone."""
_PHONE_LOG: Final = -18.0
"""What a phone of any speech costs, natural logarithm. Of 10 to 40 the best on speech of several voices: cheaper phones outdo
commands, with dearer ones other speech passes."""
_HISS: Final = 60
"""Noise is added, of this root mean square: the model was trained on rooms. Where it is digitally silent around words it mistakes one
command in six, with noise none (72 commands of four voices)."""
_LOWER: Final = 0.9
_PIECE: Final = 512
_STEEPNESS: Final = 100.0
_EVEN: Final = 1.0
"""Confidence is logistic: 0.73 where the sentence is as likely as the phones."""
_EVEN_AWAKE: Final = 2.0
"""After a wake word a command is to be expected: 0.88."""
_SETTINGS: Final[dict[str, Any]] = {
    "lm": None,
    "loglevel": "FATAL",
    "bestpath": False,  # it takes seconds with these beams
    "beam": 1e-100,  # as shipped a third of all commands is pruned
    "wbeam": 1e-80,
    "pbeam": 1e-100,
    "lw": 1.0,
    "wip": 1.0,
}


class Sphinx:
    """A `Recogniser`.

    Raises:
        ValueError: pocketsphinx cannot load the model, or makes nothing of the grammar.
    """

    def __init__(self, ears: Ears) -> None:
        self._wake = tuple(ears.wake.split("_")) if ears.wake not in ("none", "push") else ()
        if any(word not in ears.pronounced for word in self._wake):
            self._wake = ()  # of another language: it is any phones then
        self._hiss = _room()
        self._ends: dict[int, dict[str, int]] = {}
        self._final = {1}
        phones = [f"{_PHONE}{phone}" for phone in ears.phones]
        with tempfile.NamedTemporaryFile("w", suffix=".dict", encoding="utf-8") as file:
            for word, ways in ears.pronounced.items():
                for number, said in enumerate(ways, 1):
                    file.write(f"{word}{f'({number})' if number > 1 else ''} {said}\n")
            file.writelines(f"{word} {word.removeprefix(_PHONE)}\n" for word in phones)
            file.flush()
            try:
                self._commands = self._decoder(ears, file.name, *self._grammar(ears, phones))
                self._any = self._decoder(ears, file.name, 0, _loop(phones))
            except RuntimeError as error:
                raise ValueError(f"pocketsphinx makes nothing of this grammar, or of {ears.language}: {error}") from None

    def begin(self) -> None:
        """Somebody speaks from now on."""
        for decoder in (self._commands, self._any):
            decoder.start_utt()

    def hear(self, pcm: bytes) -> None:
        """What is said next; it is decoded at once."""
        heard = array("h", map(_louder, array("h", pcm), self._hiss)).tobytes()
        for decoder in (self._commands, self._any):
            decoder.process_raw(heard)

    @property
    def is_whole(self) -> bool:
        """Whether what was heard so far is a sentence."""
        found = self._commands.hyp()
        if found is None:
            return False
        state = 0
        for word in self._words(found.hypstr):
            after = self._ends.get(state, {}).get(word)
            if after is None:
                return False
            state = after
        return state in self._final

    def finish(self) -> Noticed:
        """The words that were said; none where it was no sentence."""
        self.drop()
        commands, other = self._commands.hyp(), self._any.hyp()
        words = [] if commands is None else self._words(commands.hypstr)
        if not words:
            return Noticed("words")
        margin = (_log(commands.score) - (_log(other.score) if other is not None else 0.0)) / len(words)
        sure = 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, _STEEPNESS * margin + (_EVEN_AWAKE if self._wake else _EVEN)))))
        return Noticed("words", " ".join(words), round(sure, 3))

    def drop(self) -> None:
        """What was said is over."""
        for decoder in (self._commands, self._any):
            decoder.end_utt()

    def _words(self, said: str) -> list[str]:
        """The words of a command: without what came before the wake word, and that itself."""
        words = [word.partition("(")[0] for word in said.split()]
        while words and words[0].startswith(_PHONE):
            words.pop(0)
        return words[len(self._wake) :] if self._wake and tuple(words[: len(self._wake)]) == self._wake else words

    def _grammar(self, ears: Ears, phones: list[str]) -> tuple[int, list[tuple[int, int, float, str]]]:
        """The state in which it begins, and its arcs: what can be said, after anything and the wake word where there is one."""
        arcs = [(before, after, 1.0, word) for before, after, word in ears.arcs]
        ways: dict[tuple[int, str], set[int]] = {}
        for before, after, word in ears.arcs:
            ways.setdefault((before, word), set()).add(after)
        for (before, word), ends in ways.items():  # the end, and a state that goes on, may both be meant
            self._ends.setdefault(before, {})[word] = max(ends)
            if 1 in ends:
                self._final.add(max(ends))
        if not self._wake:
            return 0, arcs
        state = 1 + max((max(before, after) for before, after, _ in ears.arcs), default=1)
        first = state
        arcs += [(first, after, 1.0, word) for before, after, word in ears.arcs if before == 0]
        arcs += [(first, first, math.exp(_PHONE_LOG), phone) for phone in phones]
        for place, word in enumerate(self._wake):
            after = 0 if place == len(self._wake) - 1 else state + 1
            arcs.append((state, after, 1.0, word))
            state = after
        return first, arcs

    def _decoder(self, ears: Ears, dictionary: str, first: int, arcs: list[tuple[int, int, float, str]]) -> Any:
        decoder: Any = Decoder(hmm=str(Path(ears.language)), dict=dictionary, **_SETTINGS)
        decoder.add_fsg("said", decoder.create_fsg("said", first, 1, arcs))
        decoder.activate_search("said")
        return decoder


def _loop(phones: list[str]) -> list[tuple[int, int, float, str]]:
    price = math.exp(_PHONE_LOG)
    return [(before, after, price, phone) for phone in phones for before, after in ((0, 2), (2, 2), (2, 1), (0, 1))]


def _room() -> list[int]:
    """Noise as rooms have it, the lower the louder: white noise sounds like an F."""
    noise, value, found = Random(0), 0.0, []  # noqa: S311 - nothing is kept secret with it
    for _ in range(_PIECE):
        value = _LOWER * value + noise.gauss(0, _HISS * (1 - _LOWER**2) ** 0.5)
        found.append(round(value))
    return found


def _louder(sample: int, noise: int) -> int:
    return max(-32_768, min(32_767, sample + noise))


def _log(score: float) -> float:
    return math.log(score) if score > 0 else -1e3
