"""Finds the code that a definition names: `module:name`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgematrix.errors import UsageError
from edgematrix.protocol.path import AgentPath

if TYPE_CHECKING:
    from edgematrix.config.agent import Agent
    from edgematrix.runtime.code import Code

__all__ = ["CodeLoader", "load_file"]


class CodeLoader:
    """Loads modules from one folder, and those that are allowed by name; no others.

    Args:
        folder: where the matrix file stands; its modules may be loaded.
        allowed: names of installed modules (or of packages that they are in) that may be loaded too.
        defined: agents that exist already, as where a matrix is written in Python.
    """

    def __init__(
        self, folder: Path | None = None, allowed: Collection[str] = (), defined: Mapping[AgentPath, Agent[Any, Any]] | None = None
    ) -> None:
        self._folder = folder
        self._allowed = frozenset(allowed)
        self._defined = defined or {}

    def defined(self, path: AgentPath) -> Agent[Any, Any] | None:
        """The agent of this path, where Python defines it; None where a file does."""
        return self._defined.get(path)

    @property
    def folder(self) -> Path:
        """Where the matrix file stands; the current folder where there is none."""
        return self._folder or Path()

    def load(self, path: AgentPath, place: str) -> tuple[Code, Mapping[int, str]]:
        """The code of the agent `path`, and the name of each source of its group by the id of its origin.

        Raises:
            UsageError: the module may not be loaded, cannot be, or has no such function.
        """
        from edgematrix.config.agent import Agent  # noqa: PLC0415 - 6 ms that a matrix without code does not need
        from edgematrix.runtime.code import Code  # noqa: PLC0415

        found = self._defined.get(path)
        if found is None:
            module_name, _, name = place.partition(":")
            found = getattr(self.module(module_name), name, None)
        if isinstance(found, Agent):
            return found.code, found.names
        if not callable(found):
            raise UsageError(f"there is no function {place!r}", where=path)
        return Code.of(found, path), {}

    def allows(self, name: str) -> bool:
        """Whether the module may be loaded."""
        return self._file(name) is not None or any(name == allowed or name.startswith(f"{allowed}.") for allowed in self._allowed)

    def module(self, name: str) -> ModuleType:
        """Load a module.

        Raises:
            UsageError: it may not be loaded, or cannot be.
        """
        file = self._file(name)
        if file is not None:
            return load_file(name, file)
        if not self.allows(name):
            raise UsageError(
                f"the module {name!r} is not in the folder of the matrix and is not among those that this host allows",
                remedy=f"--allow {name.partition('.')[0]}",
            )
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise UsageError(f"the module {name!r} cannot be loaded: {type(error).__name__}: {error}") from error

    def _file(self, name: str) -> Path | None:
        """The module in the folder of the matrix; None if there is none."""
        file = None if self._folder is None else self._folder.joinpath(*name.split(".")).with_suffix(".py")
        return file if file is not None and file.is_file() else None


def load_file(name: str, file: Path) -> ModuleType:
    """Load a file as a module of that name, once for each file. It may import modules that stand beside it, as `python FILE` may.

    Raises:
        UsageError: it is no module, or fails.
    """
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(file.absolute()):
        return loaded
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError("the file is no Python module", where=str(file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    beside = str(file.absolute().parents[name.count(".")])
    sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        told = f"the module cannot be loaded: {type(error).__name__}: {error}"
        raise UsageError(told, where=_line_of(error, file)) from error
    finally:
        if beside in sys.path:
            sys.path.remove(beside)
    return module


def _line_of(error: BaseException, file: Path) -> str:
    """The file, with the line in it that raised."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file.absolute())]
    return f"{file}:{lines[-1]}" if lines else str(file)
