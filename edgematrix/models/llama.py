"""Which of several texts a GGUF model would rather say. Runs in a model's process; imports llama.cpp.

A choice is judged by how much likelier what was said makes it: the log-probability of its tokens, and of the end after them, less the
same where only the last line of the prompt, which asks, is known. Without that second term a small model gives the same frequent
words whatever it was asked (domain-conditional PMI: Holtzman et al., "Surface Form Competition", EMNLP 2021). Nothing is sampled, so
the same question gets the same answer, and nothing but a choice can come out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import llama_cpp
import numpy as np

from edgematrix.models.choice import Choice, Choose
from edgematrix.models.llama_text import LlamaText
from edgematrix.models.serving import Asking

__all__ = ["LlamaPicker"]

_CONTEXT_TOKENS: Final = 512
_BATCH_TOKENS: Final = 64
_BASELINES_MAX: Final = 64
"""Chats whose scores without context are kept."""


class LlamaPicker:
    """A loaded model.

    Args:
        file: a GGUF file.
        threads: that compute.

    Raises:
        ValueError: it cannot be loaded, or its template for chats cannot be used.
    """

    def __init__(self, file: Path, *, threads: int = 1) -> None:
        self._llama = llama_cpp.Llama(
            str(file),
            n_ctx=_CONTEXT_TOKENS,
            n_batch=_BATCH_TOKENS,
            n_threads=threads,
            n_threads_batch=threads,
            verbose=False,
        )
        self._text = LlamaText(self._llama)
        self._baselines: OrderedDict[tuple[str, str, tuple[str, ...]], list[float]] = OrderedDict()

    def answer(self, question: Choose, asking: Asking) -> Choice:  # noqa: ARG002 - it does not take long
        """Pick a choice.

        Raises:
            ValueError: as `pick`.
        """
        return Choice(self.pick(question.role, question.prompt, question.choices))

    def pick(self, role: str, prompt: str, choices: Sequence[str]) -> int:
        """The place of the choice that fits best; of equals the first.

        Raises:
            ValueError: role and choices leave no room for the prompt in the model's context.
        """
        tokens = [self._text.tokens(choice) for choice in choices]
        if not all(tokens):
            raise ValueError("a choice is empty")
        head, tail = self._frame(role)
        room = _CONTEXT_TOKENS - len(head) - len(tail) - max(map(len, tokens))
        asked = prompt.rsplit("\n", 1)[-1]
        said, bare = self._text.tokens(prompt), self._text.tokens(asked)
        if room < len(bare):
            raise ValueError(f"its role, the choices and what is asked do not fit into {_CONTEXT_TOKENS} tokens")
        end = tail[0] if tail else self._llama.token_eos()  # an answer ends as a message ends
        tokens = [[*choice, end] for choice in tokens]
        likely = self._scores([*head, *_cut(said, room, len(bare)), *tail], tokens)
        usual = self._baseline((role, asked, tuple(choices)), [*head, *bare, *tail], tokens)
        return max(range(len(choices)), key=lambda place: likely[place] - usual[place])

    def _baseline(self, key: tuple[str, str, tuple[str, ...]], prompt: list[int], choices: list[list[int]]) -> list[float]:
        scores = self._baselines.pop(key, None)
        if scores is None:
            scores = self._scores(prompt, choices)
            if len(self._baselines) >= _BASELINES_MAX:
                self._baselines.popitem(last=False)
        self._baselines[key] = scores
        return scores

    def _scores(self, prompt: list[int], choices: list[list[int]]) -> list[float]:
        """The log-probability of each choice, its end included, after the prompt."""
        llama = self._llama
        llama.reset()
        llama.eval(prompt)
        first = self._log_probabilities()
        scores = []
        for choice in choices:
            score = float(first[choice[0]])
            llama.n_tokens = len(prompt)  # what was tried before is taken back
            for token, then in pairwise(choice):
                llama.eval([token])
                score += float(self._log_probabilities()[then])
            scores.append(score)
        return scores

    def _log_probabilities(self) -> Any:
        """Of every token as the next one."""
        logits: Any = llama_cpp.llama_get_logits_ith(self._llama.ctx, -1)
        if not logits:
            raise ValueError("the model computed nothing")
        found: Any = np.ctypeslib.as_array(logits, shape=(self._llama.n_vocab(),)).astype(np.float64)
        greatest = found.max()
        return found - (greatest + np.log(np.exp(found - greatest).sum()))

    def _frame(self, role: str) -> tuple[list[int], list[int]]:
        """What stands before and after the prompt."""
        before, between, after = self._text.framed(("system", "user"))
        return self._text.beginning(self._text.markup(f"{before}{role}{between}")), self._text.markup(after)


def _cut(tokens: list[int], room: int, kept_at_end: int) -> list[int]:
    """At most `room` tokens: a quarter of the room from the beginning, the rest from the end, at least the last `kept_at_end`."""
    if len(tokens) <= room:
        return tokens
    first = min(room // 4, room - kept_at_end)
    return [*tokens[:first], *tokens[len(tokens) - (room - first) :]]
