"""The page on boards, its section on triggers: what `check` is shown to say is what it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

from doc_page import Page, assert_shown, environment

PAGE = Page("docs/firmware.md")
SECTION = "Triggers on the board"


def test_what_check_says_of_boards(tmp_path: Path) -> None:
    said = None
    for kind, text in PAGE.blocks(SECTION):
        if kind.startswith("yaml "):
            (tmp_path / kind.partition(" ")[2]).write_text(text, encoding="utf-8")
        elif kind == "sh":
            done = subprocess.run(text, shell=True, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)  # noqa: S602
            assert done.returncode == 0, done.stderr
            said = done.stdout
        elif kind == "text":
            assert said is not None
            assert_shown(text, said)
    assert said is not None
