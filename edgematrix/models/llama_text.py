"""Text and tokens of a model that llama.cpp has loaded, and its own template for talks. Runs in a model's process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llama_cpp

from edgematrix.models.talk import Turn

__all__ = ["LlamaText"]


class LlamaText:
    """What a model's file says of how text is written for it.

    Args:
        llama: the model, loaded.

    Raises:
        ValueError: its template for talks cannot be used.
    """

    def __init__(self, llama: llama_cpp.Llama) -> None:
        self._llama = llama
        self._vocabulary = llama_cpp.llama_model_get_vocab(llama.model)
        text = llama.metadata.get("tokenizer.chat_template")
        self._formatter: Any = None
        if text is not None:
            self._formatter = llama_cpp.llama_chat_format.Jinja2ChatFormatter(
                text, eos_token=self._spelled(llama.token_eos()), bos_token=self._spelled(llama.token_bos())
            )
        self.framed(("system", "user"))

    def tokens(self, text: str) -> list[int]:
        """Tokens of text from outside: what spells a control token in it is text like the rest."""
        return list(self._llama.tokenize(text.encode(), add_bos=False, special=False))

    def markup(self, text: str) -> list[int]:
        """Tokens of a template's text, its control tokens among them."""
        return list(self._llama.tokenize(text.encode(), add_bos=False, special=True))

    def bytes_of(self, token: int) -> bytes:
        """What a token stands for; nothing for a control token. It may be a part of a character."""
        return bytes(self._llama.detokenize([token], special=False))

    def is_end(self, token: int) -> bool:
        """Whether an answer ends by it."""
        return bool(llama_cpp.llama_vocab_is_eog(self._vocabulary, token))

    def beginning(self, tokens: list[int]) -> list[int]:
        """The tokens with what the model wants to stand first."""
        begins = self._llama.metadata.get("tokenizer.ggml.add_bos_token", "true") == "true"
        bos = self._llama.token_bos()
        return [bos, *tokens] if begins and bos >= 0 and tokens[:1] != [bos] else tokens

    def framed(self, roles: Sequence[str]) -> list[str]:
        """What stands before, between and after messages of these roles: one text more than there are messages.

        Raises:
            ValueError: the model's template leaves one of them out.
        """
        if self._formatter is None:
            return ["", *("\n\n" for _ in roles)]
        places = [f"\u2060{number}\u2060" for number in range(len(roles))]
        messages = [{"role": role, "content": place} for role, place in zip(roles, places, strict=True)]
        try:
            whole = self._formatter(messages=messages).prompt
        except ValueError:  # templates that know no system say so in this way
            if roles[:2] != ("system", "user"):
                raise
            merged = [{"role": "user", "content": f"{places[0]}\n\n{places[1]}"}, *messages[2:]]
            whole = self._formatter(messages=merged).prompt
        frame = []
        for place in places:
            before, found, whole = whole.partition(place)
            if not found:
                raise ValueError("the model's template for chats leaves a message out")
            frame.append(before)
        return [*frame, whole]

    def written(self, turns: Sequence[Turn], contents: Sequence[list[int]]) -> tuple[list[int], int]:
        """A talk as the model reads it, with these tokens as its messages; and after how many tokens what the system says is over."""
        frame = self.framed(tuple(turn.role for turn in turns))
        tokens = self.beginning(self.markup(frame[0]))
        head = 0
        for place, content in enumerate(contents):
            tokens += content
            tokens += self.markup(frame[place + 1])
            if turns[place].role == "system":
                head = len(tokens)
        return tokens, head

    def _spelled(self, token: int) -> str:
        return llama_cpp.llama_vocab_get_text(self._vocabulary, token).decode() if token >= 0 else ""
