"""The page on models, its section on the cascade: what is shown is the example's, its commands are run, its figures are those of a part."""

from __future__ import annotations

import shutil
from pathlib import Path

from doc_page import ROOT, Page, Reader

from edgematrix.agents.spec import NearSpec
from edgematrix.config.opening import open_matrix

PAGE = Page("docs/models.md")
EXAMPLE = ROOT / "examples" / "cascade"


def test_what_the_section_on_the_cascade_says_is_what_happens(tmp_path: Path) -> None:
    folder = tmp_path / "cascade"
    shutil.copytree(EXAMPLE, folder)
    reader, said, shown = Reader(folder), "", 0
    sources = [file.read_text() for file in EXAMPLE.iterdir()]
    for kind, text in PAGE.blocks("The cascade"):
        if kind == "sh":
            said = reader.paste(text)
        elif kind == "text":
            reader.compare(text, said)
            shown += 1
        else:
            assert any(text in source for source in sources), text
    assert shown == 1


def test_what_is_said_in_the_example_is_heard_by_real_word_vectors(tmp_path: Path) -> None:
    folder = tmp_path / "cascade"
    shutil.copytree(EXAMPLE, folder)
    told = Reader(folder).paste("edgematrix simulate home.yaml --input said.jsonl --until 10s")
    assert [line.split(", ")[1] for line in told.splitlines()] == [
        '"topic": "z/office/set"',
        '"topic": "z/heating/set"',
        '"topic": "z/kitchen/set"',
    ]


def test_every_key_of_near_is_in_the_specification() -> None:
    page = Page("docs/spec/matrix.md").text
    for key in NearSpec.__dataclass_fields__:
        assert key in page, key


def test_the_shipped_house_and_the_example_are_right() -> None:
    assert "ears" in open_matrix(EXAMPLE / "home.yaml").spec.agents
    assert "ears" in open_matrix(ROOT / "edgematrix" / "models" / "shipped" / "house" / "house.yaml").spec.agents
