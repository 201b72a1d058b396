"""The dead letters of a host: the newest, for whoever looks at them and handles them, also after a restart."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ClassVar

from msgspec import structs

from edgematrix.errors import CodecError
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.path import is_below
from edgematrix.runtime.dead_letter import Letter, Origin, letter_of, read_letter, write_letter

__all__ = ["DeadLetters"]


class DeadLetters:
    """Keeps `dead_letters_max` letters, the oldest gives way. A keeper of the engine.

    A letter that is handed in again is none any more. If what it led to dies too, it is back, under its id.

    Args:
        limits: how many there may be, and how large.
        touched: told when there is something to store.
    """

    STORE_KEY: ClassVar[str] = "#dead"
    """No agent's path is empty, so no group has this key."""

    def __init__(self, limits: Limits, touched: Callable[[DeadLetters], None]) -> None:
        self._letters_max = limits.dead_letters_max
        self._bytes_max = limits.dead_letter_bytes_max
        self._touched = touched
        self._letters: dict[str, Letter] = {}
        """In order of their dying, the oldest first."""
        self._handed: OrderedDict[str, tuple[str, int]] = OrderedDict()
        """The letter that a message was made of, and how often that was retried, by the message's id."""
        self._changed: dict[str, None] = {}
        self.forgotten_count = 0
        """Letters that gave way to newer ones."""

    def __len__(self) -> int:
        return len(self._letters)

    # What the engine tells

    def take(self, new_id: str, agent: str, topic: str, value: object, reason: str, at_us: int, origin: Origin, own_inputs: str) -> Letter:
        """Keep a message that could not be handled. One that was retried is the letter that it was.

        Args:
            new_id: the letter's id, if it is a new one.
            agent: whose it is.
            topic: where the message came, or was to go.
            value: the message.
            reason: why it could not be handled.
            at_us: the moment, by the wall clock.
            origin: how the message came.
            own_inputs: what the topics of the agent's own inputs begin with.
        """
        letter_id, retries = new_id, 0
        if not origin.is_output and origin.trail.id in self._handed:  # what the agent did with the message is another matter
            known, tried = self._handed[origin.trail.id]
            if known not in self._letters:
                letter_id, retries = known, tried
        made = letter_of(letter_id, agent, topic, value, reason, origin, own_inputs, self._bytes_max)
        letter = structs.replace(made, at_us=at_us, retries=retries)
        self._letters[letter_id] = letter
        self._change(letter_id)
        self._forget_oldest()
        return letter

    # Looking

    def get(self, letter_id: str) -> Letter | None:
        """The letter of that id, if it is kept."""
        return self._letters.get(letter_id)

    def of(self, path: str) -> Iterator[Letter]:
        """Those of an agent and of all below it, newest first."""
        return (letter for letter in reversed(self._letters.values()) if letter.agent == path or is_below(letter.agent, path))

    # Handling

    def remove(self, letter: Letter) -> None:
        """Forget one."""
        if self._letters.pop(letter.id, None) is not None:
            self._change(letter.id)

    def hand_over(self, letter: Letter, message_ids: Iterable[str]) -> None:
        """Let a letter go, for messages with these ids are made of it."""
        self.remove(letter)
        for message_id in message_ids:
            self._handed[message_id] = (letter.id, letter.retries + 1)
            if len(self._handed) > self._letters_max:
                self._handed.popitem(last=False)

    # What is stored

    @property
    def store_key(self) -> str:
        """Under which they are stored, each as a part with its id."""
        return self.STORE_KEY

    def save(self) -> dict[str, bytes | None]:
        """What has changed since the last call, by id."""
        changed, self._changed = self._changed, {}
        found = ((letter_id, self._letters.get(letter_id)) for letter_id in changed)
        return {letter_id: None if letter is None else write_letter(letter) for letter_id, letter in found}

    def load(self, parts: Mapping[str, bytes], damaged: Callable[[str, Exception], None]) -> None:
        """Go on with what was stored. What is damaged is forgotten, and told."""
        found: list[Letter] = []
        for letter_id, data in parts.items():
            try:
                found.append(read_letter(data))
            except CodecError as error:
                damaged(f"dead letter {letter_id}", error)
                self._change(letter_id)
        found.sort(key=lambda letter: (letter.at_us, letter.id))
        self._letters = {letter.id: letter for letter in found} | self._letters
        self._forget_oldest()

    # Inside

    def _forget_oldest(self) -> None:
        while len(self._letters) > self._letters_max:
            oldest = next(iter(self._letters))
            del self._letters[oldest]
            self._change(oldest)
            self.forgotten_count += 1

    def _change(self, letter_id: str) -> None:
        if not self._changed:
            self._touched(self)
        self._changed[letter_id] = None
