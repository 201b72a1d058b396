"""The section on the access list: its file is written, its commands are run, and every output that is shown is what comes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from doc_page import Page, assert_shown, environment

PAGE = Page("docs/access.md")


def test_what_the_page_says_about_the_access_list_is_so(tmp_path: Path) -> None:
    said, outputs = "", 0
    for kind, text in PAGE.blocks("The access list"):
        language, _, about = kind.partition(" ")
        if language == "sh":
            done = subprocess.run(text, shell=True, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)  # noqa: S602 - it redirects
            assert done.returncode == (1 if about == "edit" else 0), done.stderr
            said = done.stdout + done.stderr
        elif language == "text":
            assert_shown(text, said)
            outputs += 1
        elif about:
            (tmp_path / about).write_text(text, encoding="utf-8")
    assert outputs == 3
