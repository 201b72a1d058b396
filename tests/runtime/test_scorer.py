"""A model that is asked on the event loop itself: answers, those that are late, and what the loop is left with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator

import pytest

from edgematrix.errors import ModelError
from edgematrix.models.onnx_wire import Scored
from edgematrix.runtime import scorer
from edgematrix.runtime.scorer import _Desk


class Model:
    """A model whose answers the test gives."""

    def __init__(self) -> None:
        self.ears, self._mouth = os.pipe()
        os.set_blocking(self.ears, False)
        self.given_up: list[str] = []

    def begin(self, values: bytes, timeout_s: float) -> int | None:
        return self.ears

    def answer(self) -> None:
        os.write(self._mouth, b"x")

    def hear(self) -> Scored | None:
        return Scored(len(os.read(self.ears, 1)), 0.5)

    def give_up(self, reason: str) -> ModelError:
        self.given_up.append(reason)
        return ModelError(reason)

    def score(self, values: bytes, timeout_s: float) -> Scored:
        raise AssertionError("it is asked on the loop")

    def close(self) -> None:
        os.close(self.ears)
        os.close(self._mouth)


class Ask:
    """Asks once, and waits for what is told."""

    def __init__(self, desk: _Desk, timeout_s: float) -> None:
        self._told: asyncio.Future[tuple[Scored | None, ModelError | None]] = asyncio.get_running_loop().create_future()
        self.forget = desk.quick(b"", timeout_s, lambda scored, error: self._told.set_result((scored, error)))

    async def told(self) -> tuple[Scored | None, ModelError | None]:
        return await asyncio.wait_for(self._told, 20)


@pytest.fixture
def model() -> Iterator[Model]:
    return Model()


def played(model: Model, test: Callable[[_Desk], object]) -> None:
    async def play() -> None:
        desk = _Desk("m", model, is_quick=True)
        try:
            await test(desk)  # type: ignore[misc]
        finally:
            desk.close()

    asyncio.run(play())


def test_a_question_that_is_late_is_given_up_whatever_was_asked_before_it(model: Model) -> None:
    async def test(desk: _Desk) -> None:
        for timeout_s in (60.0, 5.0, 0.05):
            asked = Ask(desk, timeout_s)
            assert Ask(desk, 1).forget is None, "one is under way"
            model.answer()
            assert (await asked.told())[0] == Scored(1, 0.5)
        for _ in range(2):
            scored, error = await Ask(desk, 0.05).told()
            assert scored is None
            assert "did not answer within 0.05 s" in str(error)
        asked = Ask(desk, 60.0)
        model.answer()
        assert (await asked.told())[1] is None
        assert model.given_up == ["did not answer within 0.05 s"] * 2

    played(model, test)


def test_what_is_closed_tells_whoever_waits_and_leaves_nothing_in_the_loop(model: Model) -> None:
    async def test(desk: _Desk) -> None:
        asked = Ask(desk, 60.0)
        desk.close()
        assert "is closed" in str((await asked.told())[1])
        assert desk._listening is not None
        assert desk._listening._watch is None
        desk._listening = None
        desk.model = Model()

    played(model, test)


@pytest.mark.parametrize(("processors", "awake"), [(2, True), (1, False)])
def test_the_loop_stays_awake_for_answers_that_come_at_once_and_not_for_long(
    model: Model, monkeypatch: pytest.MonkeyPatch, processors: int, awake: bool
) -> None:
    monkeypatch.setattr(scorer, "_processors", lambda: processors)
    monkeypatch.setattr(scorer, "_AWAKE_S", 1.0)
    rounds: list[int] = []
    found = scorer._Listening._stay_awake
    monkeypatch.setattr(scorer._Listening, "_stay_awake", lambda self: (rounds.append(1), found(self)))

    async def test(desk: _Desk) -> None:
        first = Ask(desk, 60.0)
        assert not rounds, "it is not known yet how long one takes"
        model.answer()
        await first.told()
        asked = Ask(desk, 60.0)
        await asyncio.sleep(1.2)
        assert bool(rounds) is awake
        count = len(rounds)
        await asyncio.sleep(0.01)
        assert len(rounds) == count, "it rests by now"
        model.answer()
        await asked.told()
        slow = Ask(desk, 60.0)  # the last one was not there at once
        await asyncio.sleep(0)
        assert len(rounds) == count
        model.answer()
        await slow.told()

    played(model, test)
