"""Word vectors in a process of their own: what is near, and files that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgematrix.errors import ModelError
from edgematrix.models.near_model import KnownSentences, NearModel, find_near

KNOWN = KnownSentences("k", ("turn on kitchen light", "turn off kitchen light", "start vacuum", "set heating #"), (0, 1, 2, 3))


@pytest.fixture(scope="module")
def model() -> Iterator[NearModel]:
    made = NearModel("wordllama", find_near("wordllama", Path()), 512 << 20)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("turn on kitchen light", 0),
        ("switch on kitchen lights", 0),
        ("kitchen lamp off", 1),
        ("begin vacuuming", 2),
        ("heating #", 3),
        ("start vacum", 2),
    ],
)
def test_the_nearest_is_found_by_words_that_are_alike(model: NearModel, text: str, place: int) -> None:
    (found,) = model.nearest(KNOWN, [text], 4, 20.0)
    assert found[0].place == place, found
    assert [match.score for match in found] == sorted((match.score for match in found), reverse=True)
    assert all(0 <= value <= 1.0001 for match in found for value in (match.score, match.share, match.found, match.lacking, *match.words))


def test_of_those_of_one_group_the_nearest_counts_and_nothing_is_near_to_nothing(model: NearModel) -> None:
    known = KnownSentences("g", KNOWN.exemplars, (0, 0, 0, 1))
    one, none = model.nearest(known, ["turn on kitchen light", ""], 4, 20.0)
    assert [match.place for match in one] == [0, 3]
    assert none == []


def test_a_process_that_begins_anew_is_told_again(model: NearModel) -> None:
    first = model.nearest(KNOWN, ["start vacuum"], 2, 20.0)
    model.process._end()
    assert model.nearest(KNOWN, ["start vacuum"], 2, 20.0) == first


def test_files_that_are_none_are_told_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file"):
        find_near("x.safetensors", tmp_path)
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    (tmp_path / "x.tokenizer.json").write_text("{}")
    for weights, what in (
        (b"nothing", "is no safetensors file"),
        ((3).to_bytes(8, "little") + b"{}x", "does not hold one matrix"),
        (_matrix([2, 2]), "is no byte-pair vocabulary"),
    ):
        (tmp_path / "x.safetensors").write_bytes(weights)
        made = NearModel("x.safetensors", find_near("x.safetensors", tmp_path), 512 << 20)
        try:
            with pytest.raises(ModelError, match=what):
                made.nearest(KNOWN, ["x"], 1, 20.0)
        finally:
            made.close()


def test_what_is_not_installed_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("edgematrix.models.near_model.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="numpy") as caught:
        find_near("wordllama", tmp_path)
    assert caught.value.remedy == "pip install 'edgematrix[near]'"


def _matrix(shape: list[int]) -> bytes:
    head = json.dumps({"w": {"dtype": "F16", "shape": shape, "data_offsets": [0, 2 * shape[0] * shape[1]]}}).encode()
    return len(head).to_bytes(8, "little") + head + bytes(2 * shape[0] * shape[1])
