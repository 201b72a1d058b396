"""The page on models, its section on measuring: what is shown is in the example, and its commands say what the page says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from doc_page import ROOT, Page, Reader

from edgematrix.testing.sentence_set import KINDS

PAGE = Page("docs/models.md")
EXAMPLE = ROOT / "examples" / "sentences"
HOUSE = ROOT / "edgematrix" / "models" / "shipped" / "house"


def test_what_the_section_on_measuring_says_is_what_happens(tmp_path: Path) -> None:
    folder = tmp_path / "sentences"
    shutil.copytree(EXAMPLE, folder)
    reader, said, shown = Reader(folder), "", 0
    lines = (EXAMPLE / "mine.jsonl").read_text().splitlines()
    for kind, text in PAGE.blocks("Measure the cascade"):
        if kind == "sh":
            said = reader.paste(text)
        elif kind == "text":
            reader.compare(text, said)
            shown += 1
        elif kind == "json":
            assert all(line in lines for line in text.splitlines())
    assert shown == 1


def test_the_kinds_and_the_counts_are_those_of_the_files() -> None:
    section = PAGE.text.partition("## Measure the cascade\n")[2]
    assert all(f"`{kind}`" in section for kind in KINDS)
    sentences = [json.loads(line) for line in (HOUSE / "sentences.jsonl").read_text(encoding="utf-8").splitlines()]
    devices = {want["to"].rpartition(".")[0] for sentence in sentences for want in sentence["want"]}
    assert f"{len(sentences)} sentences" in section
    assert f"{len(devices)} devices" in section
