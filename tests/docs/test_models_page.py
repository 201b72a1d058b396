"""The page on models, its section on ONNX: every command is run in its order in a copy of the example, and what is shown comes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from doc_page import ROOT, Page, Reader

PAGE = Page("docs/models.md")
EXAMPLE = ROOT / "examples" / "activity"

pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")


def test_what_the_page_says_is_what_happens(tmp_path: Path) -> None:
    folder = tmp_path / "activity"
    shutil.copytree(EXAMPLE, folder)
    reader, said = Reader(folder), ""
    sources = [file.read_text() for file in EXAMPLE.iterdir() if file.suffix == ".yaml"]
    shown = 0
    for kind, text in PAGE.blocks("ONNX agents"):
        if kind == "sh":
            said = reader.paste(text)
        elif kind == "text":
            reader.compare(text, said)
            shown += 1
        elif not text.startswith("model:"):
            assert any(text in source for source in sources), text
    assert shown == 2


def test_the_card_that_is_shown_is_one(tmp_path: Path) -> None:
    from edgematrix.config.model_card import read_card

    text = next(text for _, text in PAGE.blocks("ONNX agents") if text.startswith("model:"))
    place = tmp_path / "room_fault.card.yaml"
    place.write_text(text.replace("SHA256", "a" * 64), encoding="utf-8")
    shipped = read_card(ROOT / "edgematrix" / "models" / "shipped" / "room_fault.card.yaml").spec
    shown = read_card(place).spec
    assert (shown.inputs, shown.window, shown.outputs) == (shipped.inputs, shipped.window, shipped.outputs)


def test_the_figures_are_those_of_the_cards() -> None:
    from edgematrix.config.model_card import known_cards, read_card

    for name, place in known_cards(Path("nowhere")).items():
        files = read_card(place).spec.files
        row = re.search(rf"^\| `{name}` \|.*$", PAGE.text, re.MULTILINE)
        assert row is not None
        for file in (files.float_, files.int8):
            assert file is not None
            assert f"{file.accuracy:.3f}" in row[0]
            assert f"{(place.parent / file.file).stat().st_size:,}" in row[0]


def test_links_lead_somewhere() -> None:
    assert PAGE.missing_links() == []
