"""What is done when an agent fails, written in Python."""

from __future__ import annotations

from edgematrix.composition.spec import RetrySpec
from edgematrix.protocol.fields import read_duration

__all__ = ["Retry"]

Duration = str | float


class Retry:
    """How often, and when, an agent that failed works again on the same.

    Args:
        attempts: how often it works at most.
        timeout: after so long no attempt begins any more.
        wait_initial: the first wait; each one after it is `wait_exp_base` times as long.
        wait_max: the longest wait.
        wait_jitter: up to so much is added to each wait by chance.
        wait_exp_base: by how much waits grow.

    Raises:
        ValueError: a value is out of bounds, or no duration.
    """

    def __init__(
        self,
        *,
        attempts: int = 3,
        timeout: Duration = 45,
        wait_initial: Duration = 0.1,
        wait_max: Duration = 5,
        wait_jitter: Duration = 1,
        wait_exp_base: float = 2.0,
    ) -> None:
        self.spec = RetrySpec(
            attempts=attempts,
            timeout=read_duration(timeout),
            wait_initial=read_duration(wait_initial),
            wait_max=read_duration(wait_max),
            wait_jitter=read_duration(wait_jitter),
            wait_exp_base=wait_exp_base,
        )
