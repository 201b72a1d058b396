"""The page on compositions: every command is run in its order, beside one host, and every output that is shown is what comes."""

import re
import shlex
import shutil
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

from doc_page import ROOT, Page, Reader, started

from edgematrix.protocol.limits import Limits

PAGE = Page("docs/compositions.md")
REVIEW = ROOT / "examples" / "review"


class Walk:
    """The page, block by block, in a copy of the example."""

    def __init__(self, folder: Path, host: ExitStack) -> None:
        self.folder = folder
        self.outputs = 0
        self._host = host
        self._reader = Reader(folder)
        self._said = ""
        self._before: tuple[Path, str] | None = None

    def take(self, kind: str, text: str) -> None:
        language, _, about = kind.partition(" ")
        if language == "sh":
            self._run(about, text)
        elif language == "text":
            self._reader.compare(text, self._said)
            self.outputs += 1
        elif language == "diff":
            self._edit(self.folder / about, text)
        elif language == "mermaid":
            assert_in_order(text, self._said)
        elif about:
            (self.folder / about).write_text(text)
        else:
            sources = [file.read_text() for file in sorted(REVIEW.iterdir()) if file.suffix in (".py", ".yaml")]
            for part in text.split("\n\n"):
                assert any(part in source for source in sources), part

    def _run(self, about: str, text: str) -> None:
        if about == "run":
            self._host.enter_context(started(shlex.split(text), self.folder, "connected"))
            return
        self._said = self._reader.paste(text, fails=about == "fails")
        if self._before is not None:  # what was edited to see what comes of it is put back
            file, before = self._before
            file.write_text(before)
            self._before = None

    def _edit(self, file: Path, text: str) -> None:
        before = file.read_text()
        gone = "".join(line[1:] + "\n" for line in text.splitlines() if line.startswith("-"))
        come = "".join(line[1:] + "\n" for line in text.splitlines() if line.startswith("+"))
        assert before.count(gone) == 1
        self._before = (file, before)
        file.write_text(before.replace(gone, come))


def assert_in_order(shown: str, said: str) -> None:
    """Every line that is shown was said, in this order; a picture leaves out the rest."""
    lines = iter(said.splitlines())
    for line in shown.splitlines():
        assert line in lines, f"{line!r} is not in\n{said}"


def test_every_command_gives_what_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "review"
    shutil.copytree(REVIEW, folder, ignore=shutil.ignore_patterns("__pycache__", ".edgematrix"))
    with ExitStack() as host:
        walk = Walk(folder, host)
        for kind, text in PAGE.blocks():
            walk.take(kind, text)
    assert walk.outputs == len([kind for kind, _ in PAGE.blocks() if kind == "text"]) > 5


def test_the_limits_that_are_listed_are_those_of_the_code() -> None:
    listed = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", PAGE.text, re.MULTILINE)
    known = {field.name: field.default for field in fields(Limits)}
    assert listed
    assert {name: int(number.replace(",", "")) for name, number in listed} == {name: known[name] for name, _ in listed}


def test_every_file_that_is_linked_is_there() -> None:
    assert PAGE.missing_links() == []
