"""Opens a matrix, whichever way it is written: a YAML file, or a Python file that defines one `Matrix`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from edgematrix.config.code_loader import CodeLoader, load_file
from edgematrix.config.opened import Opened
from edgematrix.config.reading import checked, read_matrix
from edgematrix.config.spec import MatrixSpec
from edgematrix.errors import ConfigError, EdgeMatrixError, Issue

__all__ = ["open_matrix"]


def open_matrix(path: Path, allowed: Collection[str] = (), *, imports: bool = True) -> Opened:
    """Open a matrix file.

    Args:
        path: a YAML file, or a Python file; modules beside it may be loaded.
        allowed: names of installed modules whose agents may be loaded too.
        imports: whether the modules that a YAML file names are loaded, so that the types of agents' code are compared.

    Raises:
        ConfigError: every error that was found, in file order.
    """
    if path.suffix == ".py":
        return _open_program(path, allowed)
    loader = CodeLoader(path.parent, allowed)
    reading = read_matrix(path, loader=loader if imports else None)
    return Opened(_found_from(path, reading.spec), reading.warnings, loader, texts=reading.texts)


def _open_program(path: Path, allowed: Collection[str]) -> Opened:
    from edgematrix.config.matrix import Matrix  # noqa: PLC0415 - a matrix from a file does not need it

    if not path.is_file():
        raise ConfigError([Issue("error", "there is no such file", str(path))])
    try:
        module = load_file(path.stem, path)
        found = [value for value in vars(module).values() if isinstance(value, Matrix)]
        if len(found) != 1:
            what = f"the file defines {len(found)} matrices, expected one"
            raise ConfigError([Issue("error", what, str(path), remedy='home = em.Matrix("home")')])
        loader = CodeLoader(path.parent, allowed, found[0].code())
        reading = checked(found[0].spec(), loader=loader)
    except ConfigError:
        raise
    except EdgeMatrixError as error:
        raise ConfigError([Issue("error", str(error), str(path))]) from error
    return Opened(_found_from(path, reading.spec), reading.warnings, loader, found[0].spec)


def _found_from(path: Path, spec: MatrixSpec) -> MatrixSpec:
    """With the file in which the broker's address stands where it is, seen from anywhere: it is relative to the matrix."""
    if not spec.broker.startswith("@"):
        return spec
    return replace(spec, broker=f"@{path.parent.absolute() / Path(spec.broker[1:]).expanduser()}")
