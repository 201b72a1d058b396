"""The section on a broker that is not trusted: its matrix is provisioned and run, and orders are given with and without a key."""

from __future__ import annotations

import shlex
from pathlib import Path

from broker_process import BrokerProcess
from doc_page import Page, Reader, started

PAGE = Page("docs/access.md")


def test_what_the_page_says_about_signed_messages_is_so(tmp_path: Path, mosquitto: BrokerProcess) -> None:
    blocks = dict(PAGE.blocks("A broker that is not trusted"))
    (tmp_path / "hall.yaml").write_text(blocks["yaml hall.yaml"], encoding="utf-8")
    reader = Reader(tmp_path)
    reader.paste(blocks["sh"])
    here = {name: text.replace("mqtt://broker.example", mosquitto.url) for name, text in blocks.items()}
    with started(shlex.split(here["sh run"]), tmp_path, "connected"):
        assert "✓" in reader.paste(here["sh anna"])
        reader.compare(blocks["text"], reader.paste(here["sh nobody"], fails=True))
