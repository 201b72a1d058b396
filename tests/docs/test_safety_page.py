"""The page on safety: what is shown is the example's, and its commands are run there."""

from __future__ import annotations

import shutil
from pathlib import Path

from doc_page import ROOT, Page, Reader

from edgematrix.agents.spec import CriticalSpec
from edgematrix.config.opening import open_matrix
from edgematrix.testing.scenario import read_scenario

PAGE = Page("docs/safety.md")
EXAMPLE = ROOT / "examples" / "safety"


def test_what_the_page_says_is_what_happens(tmp_path: Path) -> None:
    folder = tmp_path / "safety"
    shutil.copytree(EXAMPLE, folder)
    reader, said, shown = Reader(folder), "", 0
    sources = [file.read_text() for file in EXAMPLE.iterdir()]
    for kind, text in PAGE.blocks():
        if kind == "sh":
            said = reader.paste(text)
        elif kind == "text" and said:
            reader.compare(text, said)
            shown += 1
        elif kind == "yaml":
            assert any(text in source for source in sources), text
    assert shown == 1
    assert PAGE.missing_links() == []


def test_the_question_is_as_it_is_shown() -> None:
    scenario = read_scenario(EXAMPLE / "door.scenario.yaml")
    assert scenario is not None
    text = next(text for kind, text in PAGE.blocks() if kind == "text")
    assert text.splitlines()[:2] == ["Turn the front door to UNLOCK?", "home/front_door.lock: UNLOCK"]
    assert "mail/inbox home/porter (run " in text


def test_every_key_is_on_the_page_and_the_example_has_no_findings() -> None:
    assert {key for key in CriticalSpec.__dataclass_fields__ if f"| `{key}` |" not in PAGE.text} == set()
    assert open_matrix(EXAMPLE / "house.yaml").warnings == []
