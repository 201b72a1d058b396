"""The page on hosts: every command is run in its order, beside three hosts on a broker, and every output that is shown is what comes."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from doc_page import Page, Reader, started

PAGE = Page("docs/hosts.md")


class Walk:
    """The page, block by block, in a folder of its own."""

    def __init__(self, folder: Path, hosts: ExitStack) -> None:
        self.folder = folder
        self.outputs = 0
        self._hosts = hosts
        self._reader = Reader(folder)
        self._said = ""

    def take(self, kind: str, text: str) -> None:
        language, _, about = kind.partition(" ")
        if about == "environment":
            name, _, value = text.removeprefix("export ").partition("=")
            assert name in os.environ, value  # the broker of the test stands in for that of the page
        elif about == "host":
            for line in text.splitlines():
                self._hosts.enter_context(started(shlex.split(line), self.folder, "waiting for agents"))
        elif language == "sh":
            self._said = self._reader.paste(text, fails=about == "fails")
        elif language == "text":
            self._reader.compare(without_load(text), without_load(self._said))
            self.outputs += 1
        elif language == "diff":
            self._edit(self.folder / about, text)
        else:
            (self.folder / about).write_text(text)

    def _edit(self, file: Path, text: str) -> None:
        before = file.read_text()
        old = "".join(line[1:] + "\n" for line in text.splitlines() if not line.startswith("+"))
        new = "".join(line[1:] + "\n" for line in text.splitlines() if not line.startswith("-"))
        assert before.count(old) == 1
        file.write_text(before.replace(old, new))


def without_load(text: str) -> str:
    """How busy the machine is differs each time, and so may the version."""
    return re.sub(r"\b\d+\.\d\d +\d+\.\d+\.\d+\S*", "LOAD VERSION", text)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    found = BrokerProcess("mosquitto", tmp_path / "broker")
    found.start()
    yield found
    found.stop()


def test_every_command_gives_what_is_shown(tmp_path: Path, broker: BrokerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEMATRIX_BROKER", broker.url)
    folder = tmp_path / "house"
    (folder / "units").mkdir(parents=True)
    with ExitStack() as hosts:
        walk = Walk(folder, hosts)
        for kind, text in PAGE.blocks():
            walk.take(kind, text)
    assert walk.outputs == len([kind for kind, _ in PAGE.blocks() if kind == "text"]) > 5
