"""Sound at another rate: what is sampled at 22.05 kHz, say, as 16 kHz.

Each new sample is a sum of its neighbours weighted with a sinc function in a Hann window, which lets pass what both rates can hold
(J. O. Smith, Digital Audio Resampling, 2002).
"""

from __future__ import annotations

import math
from array import array
from fractions import Fraction
from typing import Final

__all__ = ["resampled"]

_REACH: Final = 12
"""Zero crossings of the sinc on either side."""
_MAX: Final = 32_767


def resampled(samples: array[int], from_hz: int, to_hz: int) -> array[int]:
    """The same sound at another rate, 16-bit samples."""
    if from_hz == to_hz:
        return samples
    ratio = Fraction(from_hz, to_hz)
    pass_band = min(1.0, float(1 / ratio))
    reach = math.ceil(_REACH / pass_band)
    kernels = [_kernel(phase / ratio.denominator, pass_band, reach) for phase in range(ratio.denominator)]
    padded = array("h", bytes(2 * reach)) + samples + array("h", bytes(2 * reach + 2))
    found = array("h")
    for number in range(math.floor(len(samples) / ratio)):
        place, phase = divmod(number * ratio.numerator, ratio.denominator)
        near = padded[place + 1 : place + 1 + 2 * reach]
        value = sum(map(float.__mul__, kernels[phase], map(float, near)))
        found.append(max(-_MAX, min(_MAX, round(value))))
    return found


def _kernel(offset: float, pass_band: float, reach: int) -> list[float]:
    """Weights of the samples from `reach - 1` before to `reach` after a moment that lies `offset` after a sample."""
    weights = []
    for place in range(1 - reach, reach + 1):
        away = place - offset
        sinc = 1.0 if away == 0 else math.sin(math.pi * pass_band * away) / (math.pi * pass_band * away)
        weights.append(sinc * (0.5 + 0.5 * math.cos(math.pi * max(-1.0, min(1.0, away / reach)))))
    whole = sum(weights)
    return [weight / whole for weight in weights]
