"""A page of the documentation, in the hands of a test: its blocks, its commands, and what it shows of their output."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
WAIT_S = 60

_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{8}\b"
"""The id of a run or of a message, whole or short."""
_MASKS = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "MOMENT"),
    (r"\b\d\d:\d\d:\d\d(?:\.\d+)?", "TIME"),
    (r"\d+(?:\.\d+)? (?:µs|ms|s|min|h)\b", "SPAN"),
    (r"[█·]{5,}", "BAR"),
    (r" +", " "),
)
"""What differs each time: moments, spans of time, their bars, and how wide they are. Ids are compared by who has which."""


class Page:
    """One Markdown file. `path` is relative to the repository."""

    def __init__(self, path: str) -> None:
        self.path = ROOT / path
        self.text = self.path.read_text(encoding="utf-8")

    def blocks(self, section: str = "") -> list[tuple[str, str]]:
        """Every fenced block, of one section if it is named: what stands behind its fence, and its text."""
        text = self.text.partition(f"## {section}\n")[2].partition("\n## ")[0] if section else self.text
        assert text, f"{self.path} has no section {section}"
        return re.findall(r"^```(.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    def marked(self, mark: str) -> str:
        """The command behind a mark that readers do not see."""
        found = re.search(rf"<!-- {mark} -->\n```sh\n(.*?)```", self.text, re.DOTALL)
        assert found is not None
        return found[1].strip()

    def missing_links(self) -> list[str]:
        """The files that are linked and are not there."""
        links = [link for link in re.findall(r"\]\(([^)#]+)", self.text) if "://" not in link]
        assert links
        return [link for link in links if not (self.path.parent / link).exists()]


class Reader:
    """Somebody who pastes commands in one folder, and compares. Ids that are shown become those that were seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ids: dict[str, str] = {}

    def paste(self, commands: str, *, fails: bool = False) -> str:
        """Run commands one after the other; the last of those that are to fail does. All that they print for people to read."""
        said = ""
        lines = commands.replace("\\\n", "").strip().splitlines()
        for number, line in enumerate(lines, 1):
            done = subprocess.run(
                [self._meant(word) for word in shlex.split(line, comments=True)],
                cwd=self.folder,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=WAIT_S,
                check=False,
            )
            assert "Traceback" not in done.stdout + done.stderr, done.stderr
            assert done.returncode == (1 if fails and number == len(lines) else 0), f"{line}\n{done.stdout}{done.stderr}"
            said += done.stdout + done.stderr
        return said

    def compare(self, shown: str, said: str) -> None:
        """What is shown is what was said, but for what differs each time."""
        assert_shown(masked(shown), masked(said))
        for one, other in zip(re.findall(_ID, shown), re.findall(_ID, said), strict=False):
            assert self._ids.setdefault(one, other) == other, f"{one} is {other} here, and was {self._ids[one]} before"

    def _meant(self, word: str) -> str:
        known = [seen for shown, seen in self._ids.items() if len(word) >= len("00000000") and shown.startswith(word)]
        return known[0] if known else word


def masked(text: str) -> str:
    """Without what differs each time."""
    text = re.sub(_ID, "ID", text)
    for pattern, name in _MASKS:
        text = re.sub(pattern, name, text)
    return text


def assert_shown(text: str, said: str) -> None:
    """What is shown is what was said; a line with `…` stands for any number of lines."""
    pattern = "".join("(?:.*\n)*?" if line.strip() == "…" else re.escape(line.rstrip()) + r" *\n" for line in text.splitlines())
    assert re.fullmatch(pattern, said), said


def environment() -> dict[str, str]:
    """As in a terminal that is wide and has no colours; the commands of this environment come first."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"NO_COLOR": "1", "COLUMNS": "120", "PATH": path}


def run_until(command: list[str], folder: Path, words: str) -> str:
    """Run until it says `words`, then press Ctrl-C; all it has said. It must end by itself, and well."""
    with started(command, folder, words) as said:
        pass
    return "".join(said)


@contextmanager
def started(command: list[str], folder: Path, words: str) -> Iterator[list[str]]:
    """A command that goes on, from when it says `words` until Ctrl-C is pressed; what it says. It must end by itself, and well."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    said: list[str] = []
    there = threading.Event()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if words in line:
                there.set()
        there.set()

    ear = threading.Thread(target=listen)
    ear.start()
    try:
        assert there.wait(WAIT_S), said
        assert any(words in line for line in said), "".join(said)
        yield said
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0, "".join(said)
    finally:
        process.kill()
        process.wait()
        ear.join(WAIT_S)
        if process.stdout is not None:
            process.stdout.close()
