"""When an agent that failed works again; without randomness, so that a simulation gives the same twice."""

from __future__ import annotations

import hashlib

from edgematrix.composition.spec import RetrySpec

__all__ = ["may_retry", "wait_us"]

_HASH_BYTES = 8
_HASH_BITS = 8 * _HASH_BYTES


def wait_us(spec: RetrySpec, attempt: int, seed: str) -> int:
    """How long to wait after attempt number `attempt` (from 1) has failed, as `RetrySpec` says.

    The jitter is even between 0 and `wait_jitter`. It comes from a hash of `seed` (such as the run's id) and `attempt`.

    Raises:
        ValueError: `attempt` is below 1.
    """
    if attempt < 1:
        raise ValueError(f"attempts count from 1, found {attempt}")
    grown = spec.wait_initial * spec.wait_exp_base ** (attempt - 1)
    if grown >= spec.wait_max:
        return spec.wait_max
    return min(spec.wait_max, round(grown) + _jitter_us(spec.wait_jitter, attempt, seed))


def may_retry(spec: RetrySpec, attempt: int, began_us: int, now_us: int) -> bool:
    """Whether another attempt may begin at `now_us` once `attempt` of them have failed; the first began at `began_us`."""
    return attempt < spec.attempts and now_us - began_us <= spec.timeout


def _jitter_us(most_us: int, attempt: int, seed: str) -> int:
    # What is no text in UTF-8 (a lone surrogate) is still a seed.
    digest = hashlib.blake2b(f"{attempt} {seed}".encode(errors="surrogatepass"), digest_size=_HASH_BYTES).digest()
    return (most_us + 1) * int.from_bytes(digest) >> _HASH_BITS
