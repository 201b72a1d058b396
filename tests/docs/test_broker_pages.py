"""The pages on brokers: every command is run in its order, and every output that is shown is what comes."""

import os
import re
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from broker_process import skip_without
from doc_page import Page, environment, masked

from edgematrix.runtime.broker_profile import load_profiles

PATIENCE_S = 60
_PLACE = r"127\.0\.0\.1:\d+"
_PROCESS = r"process \d+"
_UP = "Ctrl-C ends it"
_CONNECTED = "connected"


class Terminal:
    """A command that goes on in a terminal of its own, and what it has said."""

    def __init__(self, command: str, folder: Path) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            shlex.split(command),
            cwd=folder,
            env=environment() | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()

    def until(self, pattern: str, after: int = 0) -> str:
        """Wait for a line, of those after so many; it."""
        give_up_at = time.monotonic() + PATIENCE_S
        with self._changed:
            while True:
                found = next((line for line in self.lines[after:] if re.match(pattern, line)), None)
                if found is not None:
                    return found
                assert self._process.poll() is None, "".join(self.lines)
                assert time.monotonic() < give_up_at, f"{pattern}\n{''.join(self.lines)}"
                self._changed.wait(0.2)

    def close(self, *, well: bool) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._ear.join(PATIENCE_S)
            assert self._process.stdout is not None
            self._process.stdout.close()
        assert code == 0 or not well, "".join(self.lines)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()


class Walk:
    """A page, block by block, in an empty folder. Ports and processes that are shown become those that there are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.brokers: list[Terminal] = []
        self.others: list[Terminal] = []
        self._said = ""
        self._known: dict[str, str] = {}

    def take(self, kind: str, text: str) -> None:
        if kind == "sh run":
            self._run(self._meant(text))
        elif kind in ("sh", "sh fails"):
            self._paste(self._meant(text), fails=kind == "sh fails")
        elif kind == "sh soon":
            give_up_at = time.monotonic() + PATIENCE_S
            while self._outcome(self._meant(text)) != 0:
                assert time.monotonic() < give_up_at, self._said
        elif kind == "text":
            self._compare(text, self._said)
        elif kind == "text said":
            for line in text.splitlines():
                self._compare(line, self.brokers[-1].until(self._pattern(line)))
        elif kind == "text matrix":
            matrix = self.others[-1]
            first = matrix.until(rf"\S+ +{_CONNECTED}")
            position = matrix.lines.index(first) + 1
            for line in text.splitlines():
                words = line.split(maxsplit=1)[1].partition("…")[0]
                position = matrix.lines.index(matrix.until(rf"\S+ +{words}", position)) + 1
        else:
            raise AssertionError(kind)

    def close(self, *, well: bool) -> None:
        for terminal in (*self.others, *reversed(self.brokers)):
            terminal.close(well=well)

    def _run(self, command: str) -> None:
        terminal = Terminal(command, self.folder)
        if " broker up " in command:
            self.brokers.append(terminal)
            terminal.until(_UP)
            self._said = "".join(terminal.lines)
        else:
            self.others.append(terminal)
            terminal.until(rf"\S+ +{_CONNECTED}")

    def _paste(self, commands: str, *, fails: bool) -> None:
        for command in commands.strip().splitlines():
            assert (self._outcome(command) != 0) is fails, f"{command}\n{self._said}"

    def _outcome(self, command: str) -> int:
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        self._said = done.stdout + done.stderr
        assert "Traceback" not in self._said
        return done.returncode

    def _compare(self, shown: str, said: str) -> None:
        hidden = [
            re.sub(_PROCESS, "PROCESS", re.sub(_PLACE, "PLACE", masked(text).replace(f"{self.folder}/", ""))) for text in (shown, said)
        ]
        assert hidden[0].strip().partition("…")[0] == hidden[1].strip()[: len(hidden[0].strip().partition("…")[0])]
        if "…" not in shown:
            assert hidden[0].strip() == hidden[1].strip()
        for pattern in (_PLACE, _PROCESS):
            for one, other in zip(re.findall(pattern, shown), re.findall(pattern, said), strict=False):
                assert self._known.setdefault(one, other) == other

    def _meant(self, text: str) -> str:
        for shown, there in self._known.items():
            if shown.startswith("process"):
                text = re.sub(rf"\bkill -9 {shown.split()[1]}\b", f"kill -9 {there.split()[1]}", text)
        return re.sub(_PLACE, lambda found: self._known.get(found[0], found[0]), text)

    def _pattern(self, line: str) -> str:
        """What a line begins with that tells it from those before: its processes are other ones each time."""
        wanted = re.escape(self._meant(line).partition("…")[0])
        wanted = re.sub(r"process\\ \d+", r"process\\ \\d+", wanted)
        for folder in (".edgematrix", "guarded"):
            wanted = wanted.replace(re.escape(f" {folder}/"), rf"\ (?:{re.escape(str(self.folder))}/)?{re.escape(folder)}/")
        known = "|".join(there.split()[1] for there in self._known.values() if there.startswith("process"))
        return wanted.replace(r"process\ \d+", rf"process\ (?!(?:{known})\b)\d+") if known else wanted


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("mosquitto", "mosquitto"),
        ("mosquitto-bridge", "mosquitto"),
        pytest.param("nats-cluster", "nats", marks=pytest.mark.slow),
        ("emqx", ""),
        ("rabbitmq", ""),
    ],
)
def test_every_command_of_a_page_gives_what_is_shown(page: str, kind: str, tmp_path: Path) -> None:
    if kind:
        skip_without(kind)
    walk, well = Walk(tmp_path), False
    try:
        for mark, text in Page(f"docs/brokers/{page}.md").blocks():
            walk.take(mark, text)
        well = True
    finally:
        walk.close(well=well)
    for terminal in walk.brokers:
        for line in terminal.lines:
            for process in re.findall(r"process (\d+)", line):
                with pytest.raises(ProcessLookupError):
                    os.kill(int(process), 0)


def test_every_profile_has_a_page_and_every_page_a_profile() -> None:
    folder = Page("docs/brokers/mosquitto.md").path.parent
    assert {path.stem for path in folder.glob("*.md")} == set(load_profiles())


@pytest.mark.parametrize("page", ["mosquitto", "mosquitto-bridge", "nats-cluster"])
def test_every_file_that_is_linked_is_there(page: str) -> None:
    assert Page(f"docs/brokers/{page}.md").missing_links() == []


@pytest.mark.parametrize("page", ["emqx", "rabbitmq"])
def test_what_was_not_run_says_so(page: str) -> None:
    said = " ".join(Page(f"docs/brokers/{page}.md").text.split())
    assert "It was not run by us" in said
