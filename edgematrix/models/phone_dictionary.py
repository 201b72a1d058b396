"""How words are pronounced: the dictionary of an acoustic model of pocketsphinx, as text."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from importlib import util
from pathlib import Path
from typing import Final

from edgematrix.errors import ModelError

__all__ = ["EXTRA", "PhoneDictionary", "acoustic_model"]

EXTRA: Final = "pip install 'edgematrix[voice]'"
_ENTRY: Final = re.compile(r"([^\s()]+)(?:\(\d+\))?\s+(\S.*?)\s*")
_SHIPPED: Final = "en-us"


def acoustic_model(language: str, folder: Path) -> tuple[Path, Path]:
    """The folder of an acoustic model, and its dictionary. Nothing is loaded.

    Raises:
        ModelError: there is none, or pocketsphinx is not installed.
    """
    if language == _SHIPPED:
        found = util.find_spec("pocketsphinx")
        if found is None or not found.submodule_search_locations:
            raise ModelError("speech is recognised by pocketsphinx, which is not installed", remedy=EXTRA)
        place = Path(found.submodule_search_locations[0]) / "model" / _SHIPPED
        return place / _SHIPPED, place / "cmudict-en-us.dict"
    place = folder / language
    dictionaries = sorted(place.glob("*.dict"))
    if not (place / "mdef").is_file() or len(dictionaries) != 1:
        raise ModelError(
            f"{place} is no folder with an acoustic model of pocketsphinx and one *.dict", remedy="en-us is the one that is shipped"
        )
    return place, dictionaries[0]


class PhoneDictionary:
    """The pronunciations of some words, and every phone that there is.

    Args:
        file: one word a line, `word PH O N E S`; other ways to say it as `word(2)`.
        wanted: the words.
        own: words with their phones, in place of those of the file.

    Raises:
        ModelError: the file cannot be read, or a phone of `own` is none.
    """

    def __init__(self, file: Path, wanted: Collection[str], own: Mapping[str, str]) -> None:
        self.words: dict[str, list[str]] = {}
        phones: set[str] = set()
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise ModelError(f"{file} cannot be read: {error}") from None
        for line in lines:
            entry = _ENTRY.fullmatch(line)
            if entry is None:
                continue
            word, said = entry.groups()
            phones.update(said.split())
            if word in wanted:
                self.words.setdefault(word, []).append(said)
        self.phones = tuple(sorted(phones))
        for word, said in own.items():
            strange = [phone for phone in said.split() if phone not in phones]
            if strange or not said.split():
                raise ModelError(f"{word!r} is pronounced with {strange[0] if strange else 'nothing'!r}, which is no phone",
                                 remedy=f"its phones are {' '.join(self.phones)}")  # fmt: skip
            self.words[word] = [" ".join(said.split())]
        self.missing = tuple(sorted(set(wanted) - self.words.keys()))
        """Words that nobody knows how to say."""
