"""The README's commands are run as a newcomer pastes them, and what it shows is what comes."""

import ast
import shutil
import subprocess
from pathlib import Path

import pytest
from doc_page import BIN, ROOT, WAIT_S, Page, Reader, assert_shown, environment, run_until

README = Page("README.md")


def test_the_command_that_runs_the_house_does(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    words = README.marked("run").partition("edgematrix run ")[2].split()
    said = run_until([str(BIN / "edgematrix"), "run", *words], tmp_path, "zigbee2mqtt/hall_lamp/set")
    assert "Traceback" not in said
    assert not list((tmp_path / ".edgematrix").glob("run.json"))


def test_the_first_automation_goes_as_it_is_told(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(BIN)
    folder = tmp_path
    shown: list[tuple[str, str]] = []
    for kind, text in README.blocks("Your first automation"):
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
                    command.split(),
                    cwd=folder,
                    env=environment() | {"COLUMNS": "200"},
                    capture_output=True,
                    text=True,
                    timeout=WAIT_S,
                    check=False,
                )
                assert done.returncode == (1 if "fails" in kind else 0), done.stdout + done.stderr
                shown.append((command, done.stdout))
    assert len(shown) == 3


def test_the_python_that_is_shown_is_the_example() -> None:
    shown = next(text for kind, text in README.blocks() if kind == "python")
    example = ast.parse((ROOT / "examples" / "attic" / "attic.py").read_text())
    without_docstring = example.body[1:]
    key = lambda tree: sorted(ast.dump(node) for node in tree)  # noqa: E731 - imports stand in another order
    assert key(ast.parse(shown).body) == key(without_docstring)


def test_the_agents_of_agents_do_what_is_shown(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(BIN)
    (_, flow), (_, command), (_, text) = README.blocks("Agents of agents")
    assert flow in (ROOT / "examples" / "review" / "review.yaml").read_text()
    reader = Reader(tmp_path)
    reader.compare(text, reader.paste(command))


def test_every_file_that_is_linked_is_there() -> None:
    assert README.missing_links() == []


@pytest.mark.parametrize("mark", ["run", "tests"])
def test_the_two_commands_are_one_line_each(mark: str) -> None:
    assert "\n" not in README.marked(mark)
