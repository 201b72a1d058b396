"""The page on voice: its commands are run in a copy of the example, and what is shown comes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from doc_page import ROOT, Page, Reader

from edgematrix.agents.voice_spec import VOICE_OUTPUTS, VoiceSpec

PAGE = Page("docs/voice.md")
EXAMPLE = ROOT / "examples" / "voice"


def test_what_the_page_says_is_what_happens(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="the extra `voice` is not installed")
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    folder = tmp_path / "voice"
    shutil.copytree(EXAMPLE, folder)
    reader, said, shown = Reader(folder), "", 0
    sources = [file.read_text() for file in EXAMPLE.iterdir() if file.suffix == ".yaml"]
    for kind, text in PAGE.blocks():
        if kind == "sh":
            said = reader.paste(text)
        elif kind == "yaml":
            assert any(text in source for source in sources), text
        elif "not run" not in PAGE.text.partition(f"```{kind}\n{text}")[0].rstrip().splitlines()[-1]:
            reader.compare(text, said)
            shown += 1
    assert shown == 2


def test_every_key_and_port_is_told() -> None:
    for name in (*VoiceSpec.__dataclass_fields__, *VOICE_OUTPUTS):
        assert f"`{name}`" in PAGE.text, name


def test_links_lead_somewhere() -> None:
    assert PAGE.missing_links() == []
