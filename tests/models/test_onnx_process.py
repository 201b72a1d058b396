"""A model over windows in its process: real ones by onnxruntime, and files that are none."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

import onnxruntime

from edgematrix.config.model_card import find_card
from edgematrix.errors import ModelError
from edgematrix.models.card import Precision
from edgematrix.models.onnx_model import OnnxModel
from edgematrix.models.onnx_session import OnnxSession
from edgematrix.models.onnx_wire import Signature, WindowAsked
from tests.models import onnx_maker

TOY = Signature(rows=3, columns=2, label="out", classes=2, score_of=1)
Open = Callable[..., OnnxModel]


@pytest.fixture
def opened() -> Iterator[Open]:
    made: list[OnnxModel] = []

    def make(file: Path, signature: Signature = TOY, **how: int) -> OnnxModel:
        made.append(OnnxModel("toy", file, signature, **how))
        return made[-1]

    yield make
    for model in made:
        model.close()


def window(*values: float) -> bytes:
    return struct.pack(f"{len(values)}f", *values)


def refusal(model: OnnxModel, values: bytes = bytes(24)) -> str:
    with pytest.raises(ModelError) as refused:
        model.score(values, 20)
    return refused.value.what


def test_a_window_is_scored(tmp_path: Path, opened: Open) -> None:
    model = opened(onnx_maker.model(tmp_path / "toy.onnx"))
    scored = model.score(window(0.75, 9, 0.75, 9, 0.75, 9), 20)
    assert (scored.label, scored.score) == (1, 0.75)
    assert model.score(window(0, 9, 0, 9, 0, 9), 20).label == 0


def test_what_the_model_leaves_open_fits(tmp_path: Path, opened: Open) -> None:
    assert opened(onnx_maker.model(tmp_path / "toy.onnx", shape=("n", "rows", 2))).score(window(1, 0, 1, 0, 1, 0), 20).score == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"this is no model at all", "is no model that onnxruntime can load"), (b"", "is no model"), (b"\x08\x08" * 500, "is no model")],
)
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "toy.onnx"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        OnnxSession(file, TOY)


def test_a_file_that_is_no_model_costs_the_window(tmp_path: Path, opened: Open) -> None:
    file = tmp_path / "toy.onnx"
    file.write_bytes(b"this is no model at all")
    assert "the model toy cannot be loaded: ValueError: toy.onnx is no model that onnxruntime can load" in refusal(opened(file))


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (Signature(rows=4, columns=2, label="out", classes=2), "has the shape (1, 3, 2), the card's window has (1, 4, 2)"),
        (Signature(rows=3, columns=2, layout="columns", label="out", classes=2), "the card's window has (1, 2, 3)"),
        (Signature(rows=3, columns=2, input="frames", label="out", classes=2), "the model's inputs are window, and the card says 'frames'"),
        (Signature(rows=3, columns=2, label="probabilities", classes=2), "the model has no output 'probabilities', which the card names"),
        (Signature(rows=3, columns=2, label="out", classes=5), "has 2 values, and the card names 5 classes"),
        (Signature(rows=3, columns=2, score="out"), "expected one for the score"),
    ],
)
def test_a_model_with_other_inputs_or_outputs_than_the_card_says(tmp_path: Path, signature: Signature, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        OnnxSession(onnx_maker.model(tmp_path / "toy.onnx"), signature)


def test_outputs_that_are_no_numbers_cost_the_window_and_not_the_model(tmp_path: Path, opened: Open) -> None:
    model = opened(onnx_maker.model(tmp_path / "toy.onnx", divides=True))
    assert "no finite number" in refusal(model, bytes(24))
    assert "no finite number" in refusal(model, window(float("nan"), 0, 1, 0, 1, 0))
    assert model.score(window(0.5, 0, 0.5, 0, 0.5, 0), 20).score == 2


def test_a_window_of_another_size_is_refused(tmp_path: Path, opened: Open) -> None:
    assert "the window has 1 values, expected 3 by 2" in refusal(opened(onnx_maker.model(tmp_path / "toy.onnx")), window(1))


def test_a_model_that_takes_too_much_memory_does_not_start(tmp_path: Path, opened: Open) -> None:
    said = refusal(opened(onnx_maker.model(tmp_path / "toy.onnx"), memory_bytes_max=100 << 20))
    assert "cannot be loaded" in said or "ended" in said


@pytest.mark.parametrize("name", ["activity", "room_fault"])
@pytest.mark.parametrize("precision", ["float", "int8"])
def test_the_models_that_are_shipped_are_those_of_their_cards(tmp_path: Path, name: str, precision: Precision) -> None:
    card = find_card(name, tmp_path)
    signature = card.signature()
    model = OnnxSession(card.file(precision), signature)
    scored = model.answer(WindowAsked(bytes(4 * signature.rows * signature.columns)), None)
    assert 0 <= scored.score <= 1
    assert len(scored.embedding) == (32 if name == "activity" else 0)


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_what_it_makes_of_a_window_is_what_bare_onnxruntime_makes_of_it(tmp_path: Path, precision: Precision) -> None:
    card = find_card("activity", tmp_path)
    signature = card.signature()
    model = OnnxSession(card.file(precision), signature)
    bare = onnxruntime.InferenceSession(str(card.file(precision)), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(7)
    for _ in range(30):
        values = random.normal(0, random.uniform(0.1, 5), (1, signature.rows, signature.columns)).astype(np.float32)
        scored = model.answer(WindowAsked(values.tobytes()), None)
        likely, embedding = bare.run([signature.label, signature.embedding], {bare.get_inputs()[0].name: values})
        assert scored.label == likely.argmax()
        assert scored.score == pytest.approx(float(likely.max()), rel=1e-5)
        assert scored.embedding == np.round(embedding[0].astype(np.float64), 6).tolist()


@pytest.mark.parametrize("told", [(1, 2), ("n", 2), (1, "classes"), (1, 3)])
def test_a_model_may_leave_open_or_get_wrong_what_sizes_it_puts_out(tmp_path: Path, told: tuple[int | str, ...]) -> None:
    model = OnnxSession(onnx_maker.model(tmp_path / "toy.onnx", told=told), TOY)
    for mean in (0.75, 0.25, 0.5):
        scored = model.answer(WindowAsked(window(mean, 9, mean, 9, mean, 9)), None)
        assert (scored.label, scored.score) == (int(mean > 0.5), mean)
