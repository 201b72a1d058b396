"""A model's process that answers, hangs, dies, babbles, takes too much; toy programs that speak the same on the same pipes."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edgematrix.errors import ModelError
from edgematrix.models.choice import Choice, Choose
from edgematrix.models.halt import Halt
from edgematrix.models.process import FAILURES_MAX, REST_S, STOP_S_MAX, ModelProcess
from edgematrix.models.wire import MESSAGE_BYTES_MAX, Answer, Piece, Ready, framed

CHOICES = ("anna", "ben", "end")

TOY = """
import os, signal, sys, time
from edgematrix.models.choice import Choice, Choose
from edgematrix.models.serving import serve

class Toy:
    def answer(self, question, asking):
        return Choice(self.pick(question.prompt, question.choices, asking))

    def pick(self, prompt, choices, asking):
        {pick}

def load():
    {load}
    return Toy()

serve(load, Choose, memory_bytes_max=1 << 30, load_s_max={load_s_max})
"""

Make = Callable[..., ModelProcess]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a process from the bodies of its two functions; it is closed with the test."""
    made: list[ModelProcess] = []

    def toy(pick: str = "return choices.index(prompt)", load: str = "pass", *, load_s_max: float = 20.0) -> ModelProcess:
        program = tmp_path / f"toy{len(made)}.py"
        program.write_text(TOY.format(pick=pick, load=load, load_s_max=load_s_max))
        made.append(ModelProcess("toy", [sys.executable, "-P", str(program)], load_s_max=load_s_max))
        return made[-1]

    yield toy
    for process in made:
        process.close()


def spoken(tmp_path: Path, script: str) -> ModelProcess:
    """A program that says what it likes on its pipes."""
    program = tmp_path / "raw.py"
    program.write_text(f"import os, sys, time\n{script}\ntime.sleep(60)\n")
    return ModelProcess("raw", [sys.executable, str(program)], load_s_max=20.0)


def ask(process: ModelProcess, prompt: str = "ben", timeout_s: float = 20.0) -> int:
    question = Choose("you pick", prompt, CHOICES)
    return process.ask(question, Choice, timeout_s, fits=lambda choice: 0 <= choice.place < len(CHOICES)).place


def test_it_answers_one_question_after_the_other_in_one_process(make: Make) -> None:
    process = make()
    assert process.pid is None, "nothing runs before it is asked"
    assert [ask(process, name) for name in ("end", "anna", "ben")] == [2, 0, 1]
    pid = process.pid
    ask(process)
    assert process.pid == pid


def test_what_a_library_prints_does_not_come_between(make: Make) -> None:
    process = make("print('loading…', flush=True); os.system('echo from C'); print('x' * 300_000, file=sys.stderr); return 1")
    assert ask(process) == 1
    assert ask(process) == 1


def test_a_question_that_the_model_refuses_costs_nothing_else(make: Make) -> None:
    process = make("if prompt == 'no': raise ValueError('it does not fit')\n        return 0")
    ask(process)
    pid = process.pid
    for _ in range(FAILURES_MAX + 1):
        with pytest.raises(ModelError, match="the model toy cannot answer: it does not fit"):
            ask(process, "no")
    assert ask(process) == 0
    assert process.pid == pid


def test_a_question_that_is_too_long_is_not_sent(make: Make) -> None:
    with pytest.raises(ModelError, match="is asked too much"):
        ask(make(), "x" * MESSAGE_BYTES_MAX)


def test_one_that_hangs_is_ended_and_the_next_question_starts_another(make: Make) -> None:
    process = make("time.sleep(60 if prompt == 'hang' else 0); return 0")
    ask(process)
    pid = process.pid
    assert pid is not None
    with pytest.raises(ModelError, match=r"did not answer within 0\.2 s"):
        ask(process, "hang", 0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert ask(process) == 0


def test_one_that_dies_is_told_with_its_last_words(make: Make) -> None:
    process = make("print('out of luck', file=sys.stderr, flush=True); os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(ModelError, match=f"the model toy ended by signal {int(signal.SIGSEGV)}; it said last: out of luck"):
        ask(process)


def test_one_that_was_killed_meanwhile_is_started_again(make: Make) -> None:
    process = make()
    ask(process)
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until_s = time.monotonic() + 20
    while process.pid is not None:
        assert time.monotonic() < until_s
    assert ask(process) == 1


@pytest.mark.parametrize(
    ("load", "told"),
    [
        ("raise ValueError('no GGUF')", "cannot be loaded: ValueError: no GGUF"),
        ("raise FileNotFoundError(2, 'gone')", "cannot be loaded: FileNotFoundError"),
        ("import no_such_library", "ended with code 1; it said last: ModuleNotFoundError"),
    ],
)
def test_one_that_cannot_be_loaded_says_why(make: Make, load: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        ask(make(load=load))


def test_one_that_never_gets_ready_is_given_up(make: Make) -> None:
    with pytest.raises(ModelError, match=r"did not start within 0\.5 s"):
        ask(make(load="time.sleep(60)", load_s_max=0.5))


def test_one_that_takes_too_much_memory_loses_its_own_question_only(make: Make) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("the address space is bounded on Linux only")
    process = make("len(bytearray(1 << 31)) if prompt == 'much' else 0; return 0")
    with pytest.raises(ModelError, match="ended with code 1; it said last: MemoryError"):
        ask(process, "much")
    assert ask(process) == 0


def test_one_that_fails_again_and_again_rests(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    process = make("if prompt == 'die': os._exit(3)\n        return 0")
    for _ in range(FAILURES_MAX):
        with pytest.raises(ModelError, match="ended with code 3"):
            ask(process, "die")
    with pytest.raises(ModelError, match=rf"failed {FAILURES_MAX} times in a row; it is not asked for \d+ s more"):
        ask(process)
    assert process.pid is None
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + REST_S + 1)
    assert ask(process) == 0
    with pytest.raises(ModelError, match="ended with code 3"):
        ask(process, "die")
    assert ask(process) == 0, "one failure after a success is the first again"


READY = framed(Ready())


def raw(struct: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(struct))


def answered(number: int, place: int) -> Answer:
    return Answer(number, raw(Choice(place)))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"hello, I am a language model", "announced"),
        (READY[:4] + b"\xc1" * (len(READY) - 4), "no answer"),
        (READY * 2, "more than one answer"),
        (READY + framed(answered(1, 0)), "more than one answer"),
    ],
)
def test_babble_in_place_of_ready_is_an_error(tmp_path: Path, said: bytes, told: str) -> None:
    process = spoken(tmp_path, f"os.write(1, {said!r})")
    with pytest.raises(ModelError, match=told):
        ask(process)
    process.close()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (framed(answered(7, 0)), "no answer to the question"),
        (framed(answered(1, 3)), "no answer to the question"),
        (framed(answered(1, -1)), "no answer to the question"),
        (framed(Ready())[:-1] + b"\xff", "no answer"),
        (framed(Answer(1, raw(Ready()))), "no answer"),
        (framed(Piece(1, raw(Choice(0)))), "a piece that nobody has asked for"),
        (b"\xff\xff\xff\xff", "announced"),
    ],
)
def test_babble_in_place_of_an_answer_is_an_error(tmp_path: Path, said: bytes, told: str) -> None:
    process = spoken(tmp_path, f"os.write(1, {READY!r}); os.read(0, 1); os.write(1, {said!r})")
    with pytest.raises(ModelError, match=told):
        ask(process)
    process.close()


def test_closing_ends_the_wait_of_whoever_asks(make: Make, tmp_path: Path) -> None:
    began = tmp_path / "began"
    process = make(f"open({str(began)!r}, 'w').close(); time.sleep(60)")
    failures: list[ModelError] = []

    def wait() -> None:
        try:
            ask(process, timeout_s=60.0)
        except ModelError as error:
            failures.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until_s = time.monotonic() + 20
    while not began.exists():
        assert time.monotonic() < until_s
    process.close()
    waiting.join(20)
    assert [error.what for error in failures] == ["the model toy is closed"]
    with pytest.raises(ModelError, match="is closed"):
        ask(process)


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ModelError, match="has no process"):
        ask(ModelProcess("toy", ["/nowhere/python"], load_s_max=1.0))


def test_a_process_whose_host_is_killed_ends_by_itself(make: Make, tmp_path: Path) -> None:
    """Asked or not: it hears that its pipe is closed, and its own alarm ends what hangs."""
    program = tmp_path / "host.py"
    toy = make()._words
    program.write_text(
        "from edgematrix.models.process import ModelProcess\nimport os, time\n"
        f"process = ModelProcess('toy', {toy!r}, load_s_max=20.0)\n"
        "from edgematrix.models.choice import Choice, Choose\n"
        "process.ask(Choose('', 'ben', ('anna', 'ben')), Choice, 20.0)\nprint(process.pid, flush=True)\ntime.sleep(60)\n"
    )
    import subprocess

    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        host.kill()
    until_s = time.monotonic() + 20
    while Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < until_s, "the model's process lives on"
        time.sleep(0.01)


def heard_pieces(process: ModelProcess, prompt: str, halt: Halt | None = None, heard: Callable[[Choice], None] = print) -> int:
    return process.ask(Choose("", prompt, CHOICES), Choice, 20.0, piece=Choice, heard=heard, halt=halt).place


def test_pieces_come_in_order_before_the_answer(make: Make) -> None:
    pieces: list[int] = []
    process = make("[asking.say(Choice(number)) for number in range(500)]; return 2")
    assert heard_pieces(process, "", heard=lambda piece: pieces.append(piece.place)) == 2
    assert pieces == list(range(500))


COUNTS = """while not asking.is_stopped:
            asking.say(Choice(0)); time.sleep(0.001)
        return 1"""


def test_a_question_that_is_stopped_leaves_the_process_as_it_was(make: Make) -> None:
    process = make(f"if prompt != 'count': return 1\n        {COUNTS}")
    ask(process)
    pid = process.pid
    for halt in [Halt() for _ in range(FAILURES_MAX + 1)]:
        with pytest.raises(ModelError, match="the model toy was stopped"):
            heard_pieces(process, "count", halt, lambda _, stop=halt.now: stop())  # type: ignore[misc]
    assert ask(process) == 1
    assert process.pid == pid


def test_one_that_does_not_stop_is_ended_in_time(make: Make) -> None:
    process = make("asking.say(Choice(0)); time.sleep(60)")
    halt, stopped = Halt(), []

    def heard(_: Choice) -> None:
        stopped.append(time.monotonic())
        halt.now()

    with pytest.raises(ModelError, match="the model toy was stopped"):
        heard_pieces(process, "", halt, heard)
    assert STOP_S_MAX <= time.monotonic() - stopped[0] < 10.0  # not the minute for which it is busy
    assert process.pid is None
    assert process.rests_s == 0


def test_a_question_that_was_stopped_before_it_began_ends_at_once(make: Make) -> None:
    halt = Halt()
    halt.now()
    process = make(COUNTS)
    with pytest.raises(ModelError, match="was stopped"):
        heard_pieces(process, "", halt)


# Asked without waiting


def answer_on(process: ModelProcess, pipe: int | None) -> Choice:
    """Wait for the answer to what was begun, as an event loop does."""
    assert pipe is not None
    while select.select([pipe], [], [], 10)[0]:
        answer = process.hear(Choice)
        if answer is not None:
            return answer
    raise AssertionError("there is no answer")


def test_a_process_that_runs_is_asked_without_waiting(make: Make) -> None:
    toy = make()
    question = Choose("", "ben", CHOICES)
    assert toy.begin(question, 5) is None  # it does not run yet
    toy.ask(question, Choice, 5)
    for _ in range(3):
        pipe = toy.begin(question, 5)
        assert toy.begin(question, 5) is None  # one after the other
        assert answer_on(toy, pipe).place == 1
    assert toy.begin(Choose("", "x" * 100_000, CHOICES), 5) is None  # more than a pipe takes at once
    assert toy.ask(question, Choice, 5).place == 1


def test_a_process_that_dies_or_is_given_up_meanwhile_is_started_anew(make: Make) -> None:
    toy = make("os._exit(3) if prompt == 'anna' else time.sleep(60) if prompt == 'end' else None; return 1")
    toy.ask(Choose("", "ben", CHOICES), Choice, 5)
    pipe = toy.begin(Choose("", "anna", CHOICES), 5)
    with pytest.raises(ModelError, match="ended with code 3"):
        answer_on(toy, pipe)
    assert toy.ask(Choose("", "ben", CHOICES), Choice, 5).place == 1
    toy.begin(Choose("", "end", CHOICES), 5)
    assert "took too long" in str(toy.give_up("took too long"))
    assert toy.ask(Choose("", "ben", CHOICES), Choice, 5).place == 1
