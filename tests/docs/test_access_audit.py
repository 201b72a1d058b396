"""The section on operators and the audit log: its commands are run while its matrix runs, and every output that is shown is what comes."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import ExitStack
from pathlib import Path

from doc_page import Page, Reader, assert_shown, started

PAGE = Page("docs/access.md")
_MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def test_what_the_page_says_about_operators_is_so(tmp_path: Path) -> None:
    reader, said, outputs = Reader(tmp_path), "", 0
    with ExitStack() as stack:
        for kind, text in PAGE.blocks("Operators and the audit log"):
            language, _, about = kind.partition(" ")
            if about == "run":
                stack.enter_context(started(shlex.split(text), tmp_path, "connected"))
            elif language == "sh":
                run = json.loads((tmp_path / ".edgematrix" / "run.json").read_text())
                said = reader.paste(text.replace("mqtt://127.0.0.1:1883", run["url"]), fails=about == "fails")
            elif language == "text":
                assert_shown(re.sub(_MOMENT, "WHEN", text), re.sub(_MOMENT, "WHEN", said))
                outputs += 1
            else:
                (tmp_path / about).write_text(text, encoding="utf-8")
    assert outputs == 2
