"""How sure a GGUF model is of what it says: the probabilities of its tokens. Runs in a model's process; imports llama.cpp and numpy.

It is the probability of the token that it was least sure of. Under a grammar that is not the model's own choice alone, so it is no
probability of being right: a threshold for it is found by trying.
"""

from __future__ import annotations

from typing import Any

import llama_cpp
import numpy as np

__all__ = ["TokenWeights"]


class TokenWeights:
    """The probabilities of tokens while they are said.

    Args:
        llama: the model; what it computed last is for the token that is added next.
    """

    def __init__(self, llama: Any) -> None:
        self._llama = llama
        self._least = 1.0

    def add(self, token: int) -> None:
        """Take a token that was chosen just now."""
        logits: Any = llama_cpp.llama_get_logits_ith(self._llama.ctx, -1)
        if not logits:
            return
        found: Any = np.ctypeslib.as_array(logits, shape=(self._llama.n_vocab(),)).astype(np.float64)
        greatest = found.max()
        self._least = min(self._least, float(np.exp(found[token] - greatest) / np.exp(found - greatest).sum()))

    @property
    def confidence(self) -> float:
        """From 0 to 1."""
        return round(self._least, 4)
