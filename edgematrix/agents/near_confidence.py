"""How sure one may be that a sentence means what the nearest known one means: a logistic over what speaks for it."""

from __future__ import annotations

from math import exp

import msgspec

__all__ = ["Evidence", "NearConfidence"]


class Evidence(msgspec.Struct, frozen=True, array_like=True):
    """What speaks for a match, each from 0 to 1: how near it is, which share of the text it covers, which share of it the text covers,
    how much nearer it is than what means something else, how well that word of the text is covered which is covered least, how much
    the text has of that word of the exemplar which it has least of, and how alike they are as wholes: 0 where the model has words alone.
    """

    score: float
    share: float
    found: float
    margin: float
    weakest: float
    lacking: float
    whole: float = 0.0


class NearConfidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The coefficients, as `examples/models/near_confidence.py` fits them: of each kind of evidence, and the constant."""

    score: float
    share: float
    found: float
    margin: float
    weakest: float
    lacking: float
    constant: float
    whole: float = 0.0

    def of(self, evidence: Evidence) -> float:
        """The probability that the match is right."""
        total = self.constant
        for name in Evidence.__struct_fields__:
            total += getattr(self, name) * getattr(evidence, name)
        return 1 / (1 + exp(-max(-30.0, min(30.0, total))))

    def of_other(self, score: float) -> float:
        """The same of a match that is not the nearest."""
        return self.of(Evidence(score, score, score, 0.0, 0.0, 0.0))
