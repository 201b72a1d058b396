"""The page on models, its section on LLM agents: what is shown is the example's, and its commands are run there."""

from __future__ import annotations

import shutil
from pathlib import Path

from doc_page import ROOT, Page, Reader

from edgematrix.composition.llm_spec import LlmSpec
from edgematrix.config.opening import open_matrix

PAGE = Page("docs/models.md")
EXAMPLE = ROOT / "examples" / "helper"


def test_what_the_section_on_llm_agents_says_is_what_happens(tmp_path: Path) -> None:
    folder = tmp_path / "helper"
    shutil.copytree(EXAMPLE, folder)
    reader, said, shown = Reader(folder), "", 0
    sources = [file.read_text() for file in EXAMPLE.iterdir()]
    for kind, text in PAGE.blocks("LLM agents"):
        if kind == "sh":
            said = reader.paste(text)
        elif kind == "text" and said:
            reader.compare(text, said)
            shown += 1
        elif kind == "yaml":
            assert any(text in source for source in sources), text
    assert shown == 1


def test_every_key_is_on_the_page() -> None:
    section = PAGE.text.partition("## LLM agents\n")[2]
    keys = {key for key in LlmSpec.__dataclass_fields__ if f"`{key}`" not in section}
    assert keys <= {"provider", "model", "url", "api_key"}, "these stand in the examples, and in the table of providers"
    assert "`api_key: ${secret:name}`" in section


def test_the_example_is_right() -> None:
    assert set(open_matrix(EXAMPLE / "helper.yaml").spec.agents) == {"lamp", "heater", "helper", "mood", "voice"}
