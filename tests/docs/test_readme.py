"""The README's commands are run as a newcomer pastes them, and what it shows is what comes."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent
WAIT_S = 30


def blocks() -> list[tuple[str, str]]:
    """Every fenced block: what stands behind its fence, and its text."""
    return re.findall(r"^```(.*?)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def marked(mark: str) -> str:
    found = re.search(rf"<!-- {mark} -->\n```sh\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1].strip()


def environment() -> dict[str, str]:
    return os.environ | {"NO_COLOR": "1", "COLUMNS": "200"}


def run_until(command: list[str], folder: Path, words: str) -> str:
    """Run until it says `words`, then press Ctrl-C; all it has said. It must end by itself, and well."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    said = ""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said += line
            if words in line:
                process.send_signal(signal.SIGINT)
                break
        said += process.communicate(timeout=WAIT_S)[0]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    return said


def test_the_command_that_runs_the_house_does(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    words = marked("run").partition("edgematrix run ")[2].split()
    said = run_until([str(BIN / "edgematrix"), "run", *words], tmp_path, "zigbee2mqtt/hall_lamp/set")
    assert "Traceback" not in said
    assert not list((tmp_path / ".edgematrix").glob("run.json"))


def test_the_first_automation_goes_as_it_is_told(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(BIN)
    folder = tmp_path
    shown: list[tuple[str, str]] = []
    section = README.partition("## Your first automation")[2].partition("\n## ")[0]
    for kind, text in re.findall(r"^```(.*?)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        if kind == "yaml":  # the reader's edit of the scenario
            file = folder / "my-house" / "evening.scenario.yaml"
            wanted = text.strip()
            moment = wanted.partition(", topic")[0]
            lines = [
                wanted.rjust(len(wanted) + 2) if moment in line and "lamp/set" in line else line for line in file.read_text().splitlines()
            ]
            file.write_text("\n".join(lines) + "\n")
        elif kind == "text":
            assert_shown(text, shown[-1][1])
            if "✗" in text:  # the reader's edit of the matrix
                matrix = folder / "home.yaml"
                matrix.write_text(matrix.read_text().replace("brightness: 180", "brightness: 60"))
        elif kind == "sh run":
            said = run_until(text.split(), folder, '{"state":"ON"')
            assert '"brightness":60' in said
        elif kind.startswith("sh"):
            for command in text.strip().splitlines():
                if command.startswith("cd "):
                    folder /= command[3:]
                    continue
                done = subprocess.run(
                    command.split(), cwd=folder, env=environment(), capture_output=True, text=True, timeout=WAIT_S, check=False
                )
                assert done.returncode == (1 if "fails" in kind else 0), done.stdout + done.stderr
                shown.append((command, done.stdout))
    assert len(shown) == 3


def assert_shown(text: str, said: str) -> None:
    """What is shown is what was said; a line with `…` stands for any number of lines."""
    pattern = "".join("(?:.*\n)*?" if line == "…" else re.escape(line.rstrip()) + r" *\n" for line in text.splitlines())
    assert re.fullmatch(pattern, said), said


def test_the_python_that_is_shown_is_the_example() -> None:
    shown = next(text for kind, text in blocks() if kind == "python")
    example = ast.parse((ROOT / "examples" / "attic" / "attic.py").read_text())
    without_docstring = example.body[1:]
    key = lambda tree: sorted(ast.dump(node) for node in tree)  # noqa: E731 - imports stand in another order
    assert key(ast.parse(shown).body) == key(without_docstring)


def test_every_file_that_is_linked_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("mark", ["run", "tests"])
def test_the_two_commands_are_one_line_each(mark: str) -> None:
    assert "\n" not in marked(mark)
