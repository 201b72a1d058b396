"""Lets a GGUF model talk, under a grammar where the answer has a type. Runs in a model's process; imports llama.cpp.

What was computed for the beginning of a talk is used again as long as the next one begins in the same way; what the system says, such as
a list of devices, is kept in a file besides, so that it is there after a restart.
"""

from __future__ import annotations

import codecs
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

import llama_cpp

from edgematrix.models.envelope import instructed, opened, schema_of
from edgematrix.models.fitting import halves, longest
from edgematrix.models.llama_grammar import grammar_of
from edgematrix.models.llama_prefixes import LlamaPrefixes
from edgematrix.models.llama_text import LlamaText
from edgematrix.models.llama_weights import TokenWeights
from edgematrix.models.serving import Asking
from edgematrix.models.talk import Reply, Saying, Talk, Turn

__all__ = ["LlamaSpeech"]

_BATCH_TOKENS: Final = 64
"""Evaluated between two looks at whether somebody still waits: a tenth of a second for a small model."""
_GRAMMARS_MAX: Final = 32
_PREFIX_TOKENS_MIN: Final = 32
"""What is shorter is computed sooner than it is read from a file."""
_CUTS_MAX: Final = 64


class LlamaSpeech:
    """A loaded model.

    Args:
        file: a GGUF file.
        context: tokens that a talk may have, its answer included.
        threads: that compute.
        kept: the folder for what is kept over a restart; None for nothing.

    Raises:
        ValueError: it cannot be loaded, or its template for chats cannot be used.
    """

    def __init__(self, file: Path, *, context: int, threads: int = 1, kept: Path | None = None) -> None:
        self._llama = llama_cpp.Llama(
            str(file), n_ctx=context, n_batch=_BATCH_TOKENS, n_threads=threads, n_threads_batch=threads, verbose=False
        )
        # llama.cpp makes room for a multiple of 256 tokens; what its Python keeps beside is as long as was asked for.
        self._context = min(context, self._llama.n_ctx())
        self._text = LlamaText(self._llama)
        self._grammars: OrderedDict[str, Any] = OrderedDict()
        self._prefixes = None if kept is None else LlamaPrefixes(self._llama, file, kept)

    def answer(self, talk: Talk, asking: Asking) -> Reply:
        """Go on with a talk.

        Raises:
            ValueError: it does not fit into the context though it was cut, or its type has no grammar.
        """
        schema = schema_of(talk)
        grammar = None if schema is None else self._grammar(schema)
        turns = instructed(talk)
        prompt, head, note = self._fitted(turns, self._context - talk.tokens_max)
        self._warm(prompt[:head], asking)
        self._read(prompt[:-1], asking)
        text, tokens, is_cut, confidence = self._say(prompt, talk, grammar, asking)
        return opened(Reply(text, (), tokens, is_cut, note, confidence), talk, len(turns))

    # Reading

    def _fitted(self, turns: tuple[Turn, ...], room: int) -> tuple[list[int], int, str]:
        """The tokens of a talk, those of what the system says, and what was left out: the middle of the longest message."""
        contents = [self._text.tokens(turn.content) for turn in turns]
        left_out = 0
        for _ in range(_CUTS_MAX):
            prompt, head = self._text.written(turns, contents)
            excess = len(prompt) - room
            if excess <= 0:
                note = f"the prompt is too long: {left_out} tokens in the middle of it were left out" if left_out else ""
                return prompt, head, note
            place = longest(turns, list(map(len, contents)))
            if place is None or not contents[place]:
                break
            content = contents[place]
            kept = max(0, len(content) - excess)
            first, last = halves(kept)
            contents[place] = [*content[:first], *content[len(content) - last :]]
            left_out += len(content) - kept
        raise ValueError(f"what the system says, and an answer, do not fit into its context of {self._context} tokens")

    def _warm(self, head: list[int], asking: Asking) -> None:
        """Have what the system says computed: by now, from a file, or anew, and then into a file."""
        prefixes = self._prefixes
        if prefixes is None or len(head) < _PREFIX_TOKENS_MIN or self._known(head) == len(head):
            return
        if not prefixes.load(head):
            self._read(head, asking)
            prefixes.save(head)

    def _known(self, tokens: list[int]) -> int:
        """How many of these, from the first on, are computed."""
        llama = self._llama
        known = 0
        for before, token in zip(llama.input_ids[: llama.n_tokens].tolist(), tokens, strict=False):
            if before != token:
                break
            known += 1
        return known

    def _read(self, tokens: list[int], asking: Asking) -> None:
        """Compute these, a few at a time.

        Raises:
            ValueError: nobody waits any more.
        """
        llama = self._llama
        llama.n_tokens = self._known(tokens)
        for start in range(llama.n_tokens, len(tokens), _BATCH_TOKENS):
            if asking.is_stopped:
                raise ValueError("it was stopped")
            llama.eval(tokens[start : start + _BATCH_TOKENS])

    # Saying

    def _say(self, prompt: list[int], talk: Talk, grammar: Any, asking: Asking) -> tuple[str, int, bool, float | None]:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        said: list[str] = []
        count = 0
        streams = talk.streams and grammar is None
        weights = TokenWeights(self._llama) if talk.is_weighed else None
        for token in self._llama.generate(prompt, temp=talk.temperature, top_k=40, top_p=0.95, min_p=0.05, grammar=grammar):
            if self._text.is_end(token):
                return "".join(said) + decoder.decode(b"", final=True), count, False, None if weights is None else weights.confidence
            count += 1
            if weights is not None:
                weights.add(token)
            piece = decoder.decode(self._text.bytes_of(token))
            if piece:
                said.append(piece)
                if streams:
                    asking.say(Saying(piece))
            if count >= talk.tokens_max:
                break
            if asking.is_stopped:
                raise ValueError("it was stopped")
        return "".join(said), count, True, None if weights is None else weights.confidence

    def _grammar(self, schema: dict[str, Any]) -> Any:
        text = json.dumps(schema)
        grammar = self._grammars.pop(text, None)
        if grammar is None:
            grammar = grammar_of(schema)
            if len(self._grammars) >= _GRAMMARS_MAX:
                self._grammars.popitem(last=False)
        self._grammars[text] = grammar
        return grammar
