"""What the loop of a simulation says of work that nobody waited for."""

from __future__ import annotations

import gc

import pytest

from edgematrix.testing.clock import VirtualClock
from edgematrix.testing.virtual_loop import VirtualLoop


@pytest.mark.parametrize(("error", "told"), [(KeyboardInterrupt, 0), (ValueError, 1)])
def test_ctrl_c_while_a_task_is_at_work_is_no_error_of_the_task(
    error: type[BaseException], told: int, caplog: pytest.LogCaptureFixture
) -> None:
    loop = VirtualLoop(VirtualClock(0))

    async def work() -> None:
        raise error

    task = loop.create_task(work())
    try:
        loop.turn()
    except KeyboardInterrupt:
        pass
    del task
    loop.close()
    gc.collect()
    assert len(caplog.records) == told, caplog.text
