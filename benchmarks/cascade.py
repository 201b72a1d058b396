"""What the stages of the cascade get right on the held-out sentences, and cost, over the floor of the exact rules in the same run.

The shipped sentences are said to the shipped house in virtual time (as `edgematrix models eval` does), once with its rules alone and once
with `near`. `cpu` is processor time of this process and of the model's. `bare` is the same search in this process, without a pipe: what
`near` costs over it is the pipe, the clauses and the run.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

import edgematrix
from edgematrix.agents.near import NearSentences
from edgematrix.agents.sentences import Sentences
from edgematrix.agents.spec import SentencesSpec
from edgematrix.config.composing import near_of
from edgematrix.config.opening import open_matrix
from edgematrix.config.spec import MatrixSpec
from edgematrix.models.near_model import KnownSentences, NearModel, find_near
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.near_thinker import kin_of
from edgematrix.runtime.observation import Observation, Published
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import START_US, Simulation

_HOUSE: Final = Path(edgematrix.__file__).parent / "models" / "shipped" / "house"
_APART_US: Final = 60 * SECOND_US
_PLAIN: Final = ("plain", "paraphrase", "several")
_MATCHES: Final = 24
_INPUTS: Final = "em/in/house/"


def main() -> None:
    """Measure."""
    spec = open_matrix(_HOUSE / "house.yaml").spec
    sentences = spec.agents["ears"].sentences
    assert sentences is not None
    lines = (_HOUSE / "sentences.jsonl").read_text().splitlines()
    given = [found for found in map(msgspec.json.decode, lines) if found["part"] == "heldout"]
    ears = replace(spec.agents["ears"], sentences=replace(sentences, near=None))
    print(f"{len(given)} held-out sentences   right of those that want something   wrong actions   others left alone   cpu of each")
    _say("rules", replace(spec, agents={**spec.agents, "ears": ears}), given)
    _say("rules, near", spec, given)
    _bare(sentences, given)


def _say(name: str, spec: MatrixSpec, given: list[dict[str, Any]]) -> None:
    began = _cpu_s()
    inputs = [Recorded(number * _APART_US, "house/say", sentence["say"]) for number, sentence in enumerate(given)]
    told: list[list[dict[str, Any]]] = [[] for _ in given]

    def observe(event: Observation) -> None:
        if isinstance(event, Published) and event.path == "house/ears" and event.topic.startswith(_INPUTS):
            path, _, port = event.topic.removeprefix(_INPUTS).rpartition("/")
            told[(event.at_us - START_US) // _APART_US].append({"to": f"{path}.{port}", "payload": event.value})

    for _ in Simulation(spec, observer=observe).play(iter(inputs), len(given) * _APART_US):
        pass
    spent = _cpu_s() - began
    right = wrong = alone = 0
    for sentence, did in zip(given, told, strict=True):
        fits = any(_sorted(did) == _sorted(wanted) for wanted in (sentence["want"], *sentence.get("also", [])))
        wrong += bool(did) and not fits
        right += fits and sentence["kind"] in _PLAIN
        alone += not did and sentence["kind"] not in _PLAIN
    wanting = sum(sentence["kind"] in _PLAIN for sentence in given)
    shares = f"{right:4d} of {wanting} ({right / wanting:.1%})", f"{alone:4d} of {len(given) - wanting}"
    print(f"  {name:24} {shares[0]:>22} {wrong:24d} {shares[1]:>22} {spent / len(given) * 1_000:12.2f} ms")


def _bare(sentences: SentencesSpec, given: list[dict[str, Any]]) -> None:
    from edgematrix.models.near_index import NearIndex  # noqa: PLC0415 - numpy, after what is measured without it
    from edgematrix.models.word_vectors import WordVectors  # noqa: PLC0415

    assert sentences.near is not None
    near: NearSentences = near_of(Sentences.compile(sentences, AgentPath("house/ears")), sentences.near)
    files = find_near("wordllama", Path())
    index = NearIndex(WordVectors(files.weights, files.vocabulary), near.exemplars, near.groups, kin_of(near))
    texts = [text for sentence in given for text in near.asked(sentence["say"])]
    began = time.process_time()
    for text in texts:
        index.nearest(text, _MATCHES)
    bare = (time.process_time() - began) / len(given)
    model = NearModel("wordllama", files, 512 << 20)
    try:
        model.nearest(KnownSentences(near.key, near.exemplars, near.groups, kin_of(near)), texts[:1], _MATCHES, 60.0)
        status = Path(f"/proc/{model.process.pid}/status").read_text()
    finally:
        model.close()
    rss_mb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1_024
    about = f"{len(near.exemplars)} sentences, {len(texts) / len(given):.1f} texts for each"
    print(f"  bare search in {about}: {bare * 1_000:.2f} ms cpu; the model's process has {rss_mb:.0f} MB")


def _sorted(commands: list[dict[str, Any]]) -> list[str]:
    return sorted(msgspec.json.encode(command, order="sorted").decode() for command in commands)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
