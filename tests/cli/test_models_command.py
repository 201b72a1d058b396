"""`edgematrix models`: what it brings, lists, measures and makes; what is wrong is told in a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

import numpy as np

from edgematrix.cli.main import main
from tests.models import onnx_maker

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    onnx_maker.toy(tmp_path)
    return tmp_path


def test_models_are_listed_with_what_is_wrong_with_others(folder: Path, capsys: Captured) -> None:
    assert main(["models", "list", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["model"] for one in told] == ["toy", "activity", "room_fault"]
    assert told[0]["inputs"] == {"x": "°C", "y": None}
    (folder / "models" / "bad.card.yaml").write_text("model: bad\n")
    assert main(["models", "list"]) == 1
    assert "bad.card.yaml" in capsys.readouterr().err


def test_a_model_is_brought_once_it_is_what_its_card_says(folder: Path, capsys: Captured) -> None:
    assert main(["models", "add", "models/toy.onnx", "--in", "home"]) == 0
    assert {file.name for file in Path("home/models").iterdir()} == {"toy.onnx", "toy.card.yaml"}
    assert main(["models", "add", "models/toy.onnx", "--in", "home"]) == 2
    assert "--force" in capsys.readouterr().err
    onnx_maker.card(folder, text=onnx_maker.CARD.replace("tensor: out", "tensor: other"))
    assert main(["models", "add", "models/toy.onnx", "--in", "else"]) == 1
    assert "the model has no output 'other'" in capsys.readouterr().err
    assert not Path("else").exists()
    assert main(["models", "add", "nothing"]) == 2
    assert main(["models", "add", "nothing.onnx"]) == 1
    assert "there is no card" in capsys.readouterr().err


def test_a_file_that_is_no_model_is_not_brought(folder: Path, capsys: Captured) -> None:
    (folder / "models" / "toy.onnx").write_text("this is a text")
    onnx_maker.card(folder)
    assert main(["models", "add", "models/toy.onnx", "--in", "home"]) == 1
    assert "is no model that onnxruntime can load" in capsys.readouterr().err


def test_int8_is_made_written_into_the_card_and_measured(folder: Path, capsys: Captured) -> None:
    rows = ["x,y,label"] + ["0,1,low"] * 5 + ["0.9,1,high"] * 5
    Path("data.csv").write_text("\n".join(rows) + "\n")
    np.savez("data.npz", windows=np.array([[[0, 1]] * 3, [[0.9, 1]] * 3], np.float32), labels=np.array(["low", "high"]))
    for data in ("data.csv", "data.npz"):
        assert main(["models", "bench", "toy", "--data", data]) == 0
        assert "1.000" in capsys.readouterr().out
    assert main(["models", "quantize", "toy", "--data", "data.csv"]) == 0
    out = capsys.readouterr().out
    assert "made int8 (dynamic)" in out
    assert "of 6 windows, " in out
    assert main(["models", "quantize", "toy", "--data", "data.csv", "--calibrate", "data.npz"]) == 0
    assert "made int8 (static)" in capsys.readouterr().out
    assert Path("models/toy.card.yaml").read_text().count("int8:") == 1
    assert main(["models", "bench", "toy", "--data", "data.csv", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["precision"] for one in told] == ["float", "int8"]
    assert told[0]["accuracy"] == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,label\n0,low\n", "data.csv: error: the columns y are missing"),
        ("x,y,label\n0,0,low\n0,warm,low\n", "data.csv:3: error: the column y holds 'warm'"),
        ("x,y,label\n0,0,lo\n0,0,lo\n0,0,lo\n", "did you mean 'low'"),
        ("x,y,label\n0,0,low\n", "no window of 3 samples"),
        ("x,y,time\n0,0,2\n0,0,1\n0,0,1\n", "no window"),
    ],
)
def test_wrong_data_is_told_by_its_place(folder: Path, capsys: Captured, text: str, words: str) -> None:
    Path("data.csv").write_text(text)
    assert main(["models", "bench", "toy", "--data", "data.csv"]) == 2
    assert words in capsys.readouterr().err


def test_what_is_shipped_stays_as_it_is(folder: Path, capsys: Captured) -> None:
    assert main(["models", "quantize", "activity"]) == 2
    assert "edgematrix models add activity" in capsys.readouterr().err
