"""The section on secrets: its files are written, its commands are run, and every output that is shown is what comes."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from doc_page import Page, Reader, environment

PAGE = Page("docs/access.md")


def test_what_the_page_says_about_secrets_is_so(tmp_path: Path) -> None:
    reader, said, outputs = Reader(tmp_path), "", 0
    for kind, text in PAGE.blocks("Secrets"):
        language, _, about = kind.partition(" ")
        if about == "type":
            subprocess.run(shlex.split(text), cwd=tmp_path, env=environment(), input=b"4711\n", check=True)
        elif language == "sh":
            said = reader.paste(text)
        elif language == "text":
            reader.compare(text, _in_order(said))
            outputs += 1
        else:
            (tmp_path / about).write_text(text, encoding="utf-8")
    assert outputs == 2
    assert (tmp_path / "secrets" / "door_pin").stat().st_mode & 0o777 == 0o600


def _in_order(said: str) -> str:
    """The warnings, which go to standard error, before the summary."""
    first, _, rest = said.partition("\n")
    return f"{rest}{first}\n"
