"""Cards of models: what is wrong with one is told by line and column, and a model is found by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="onnx is not installed")

from edgematrix.config.model_card import find_card, read_card
from edgematrix.errors import ConfigError, ModelError
from edgematrix.models.unit import conversion
from tests.models import onnx_maker


def test_a_card_says_how_windows_are_made(tmp_path: Path) -> None:
    onnx_maker.toy(tmp_path, text=onnx_maker.CARD.replace("{{count: 3, step: 1}}", "{{time: 60ms, every: 20ms, fill: linear}}"))
    plan = find_card("toy", tmp_path).plan()
    assert (plan.inputs, plan.rows, plan.step, plan.every_us, plan.gap_us, plan.wait_us) == (("x", "y"), 3, 3, 20_000, 60_000, 60_000)
    assert find_card("toy", tmp_path).plan("40ms").step == 2
    with pytest.raises(ModelError, match="no multiple"):
        find_card("toy", tmp_path).plan("30ms")


@pytest.mark.parametrize(
    ("change", "words", "line"),
    [
        (("licence: Apache-2.0\n", ""), "licence", 1),
        (("tensor: out,", "tensor: out, clases: [a],"), "did you mean 'classes'", 11),
        (("{{count: 3, step: 1}}", "{{count: 3, time: 2s}}"), "one of them", 9),
        (("{{count: 3, step: 1}}", "{{time: 2s}}"), "needs `every`", 9),
        (("{{count: 3, step: 1}}", "{{time: 50ms, every: 20ms}}"), "no multiple", 9),
        (("{{count: 3, step: 1}}", "{{count: 3, fill: linear}}"), "needs `every`", 9),
        (("{{count: 3, step: 1}}", "{{count: 3, every: 1s, gap: 9h}}"), "at most", 9),
        (("{{count: 3, step: 1}}", "{{count: 3, every: 0s}}"), "cannot be 0", 9),
        (("name: y", "name: x"), "two inputs", 8),
        (("of: high", "of: hihg"), "did you mean 'high'", 12),
        (("[low, high]", "[low, low]"), "same name", 11),
        (("sha256: {sha256}", "sha256: abc"), "", 5),
    ],
)
def test_a_wrong_card_is_an_error_with_its_line(tmp_path: Path, change: tuple[str, str], words: str, line: int) -> None:
    assert change[0] in onnx_maker.CARD
    place = onnx_maker.toy(tmp_path, text=onnx_maker.CARD.replace(*change))
    with pytest.raises(ConfigError) as wrong:
        read_card(place)
    assert words in str(wrong.value)
    assert wrong.value.issues[0].line == line


def test_a_file_that_is_another_than_that_of_the_card_is_not_used(tmp_path: Path) -> None:
    onnx_maker.toy(tmp_path)
    card = find_card("toy", tmp_path)
    assert card.file().name == "toy.onnx"
    onnx_maker.model(tmp_path / "models" / "toy.onnx", divides=True)
    with pytest.raises(ModelError, match="is not the file of the card"):
        card.file()
    (tmp_path / "models" / "toy.onnx").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        card.file()
    with pytest.raises(ModelError, match="not there as int8"):
        card.file("int8")


def test_names_are_found_beside_the_matrix_before_what_is_shipped(tmp_path: Path) -> None:
    onnx_maker.toy(tmp_path, "activity")
    assert find_card("activity", tmp_path).place.parent == tmp_path / "models"
    assert find_card("models/activity.onnx", tmp_path) == find_card("activity", tmp_path)
    assert find_card("room_fault", tmp_path).spec.model == "room_fault"
    with pytest.raises(ModelError) as missing:
        find_card("activty", tmp_path)
    assert missing.value.remedy == "did you mean 'activity'?"
    with pytest.raises(ModelError, match="there is no card"):
        find_card("models/other.card.yaml", tmp_path)


@pytest.mark.parametrize(
    ("value", "given", "wanted", "found"),
    [
        (68, "°F", "°C", 20),
        (293.15, "K", "°C", 20),
        (1, "g", "m/s²", 9.80665),
        (9.80665, "m/s2", "g", 1),
        (180, "dps", "rad/s", 3.14159265),
        (3, "x", "x", 3),
    ],
)
def test_units(value: float, given: str, wanted: str, found: float) -> None:
    factor, offset = conversion(given, wanted)
    assert value * factor + offset == pytest.approx(found)


@pytest.mark.parametrize(("given", "wanted", "words"), [("lx", "°C", "a unit of"), ("furlong", "°C", "no unit that is known")])
def test_units_that_do_not_fit(given: str, wanted: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        conversion(given, wanted)
