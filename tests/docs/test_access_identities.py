"""The section on identities: its matrix is written, its commands are run, its broker and host go on meanwhile, and what is shown comes."""

from __future__ import annotations

import re
import shlex
from contextlib import ExitStack
from pathlib import Path

from broker_process import skip_without
from doc_page import Page, Reader, assert_shown, masked, started

PAGE = Page("docs/access.md")
_UNTIL = {"broker": "Ctrl-C ends it", "host": "waiting for agents"}


def undated(text: str) -> str:
    return re.sub(r" +", " ", re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d)?", "DAY", masked(text)))


def test_what_the_page_says_about_identities_is_so(tmp_path: Path) -> None:
    skip_without("mosquitto")
    reader, said, outputs = Reader(tmp_path), "", 0
    with ExitStack() as going_on:
        for kind, text in PAGE.blocks("Identities"):
            language, _, about = kind.partition(" ")
            if about == "run":
                words = shlex.split(text)
                going_on.enter_context(started(words, tmp_path, _UNTIL[words[1]]))
            elif language == "sh":
                said = reader.paste(text)
                assert "watch" not in text or "home/clock" in said
            elif language == "text":
                assert_shown(undated(text), undated(said))
                outputs += 1
            else:
                (tmp_path / about).write_text(text, encoding="utf-8")
    assert outputs == 2
