"""From a file to a matrix: read, validated, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from pydantic import TypeAdapter, ValidationError

from edgematrix.config.check import check_matrix
from edgematrix.config.code_loader import CodeLoader
from edgematrix.config.document import Document, parse_document, read_document
from edgematrix.config.finding import issues_of, told
from edgematrix.config.spec import AgentSpec, MatrixSpec, TriggerSpec
from edgematrix.config.validation import at_path, validate
from edgematrix.config.yaml_build import Stage
from edgematrix.config.yaml_position import Key
from edgematrix.errors import ConfigError, Issue

__all__ = ["Reading", "checked", "parse_matrix", "read_matrix", "referring", "reread"]


ADDRESS = Stage(may_refer=True)
_LLM = Stage(children={"api_key": ADDRESS})
"""The broker's address, in which secrets may be referred to."""


class Reading(msgspec.Struct, frozen=True):
    """A matrix that can be used, and what looks wrong in it nevertheless. `texts` are those of the files that it was read from."""

    spec: MatrixSpec
    warnings: list[Issue]
    texts: dict[str, str] = {}


def read_matrix(path: Path, variables: Mapping[str, str] | None = None, loader: CodeLoader | None = None) -> Reading:
    """Read a matrix file.

    Args:
        path: the file.
        variables: stands in for the environment.
        loader: as in `check_matrix`.

    Raises:
        ConfigError: every error that was found, in file order.
    """
    document = read_document(path, variables, _stages())
    spec = _validated(document, ())
    document.value = None
    return checked(spec, document, loader=loader)


def reread(texts: Mapping[str, str]) -> MatrixSpec:
    """The matrix that was read from these texts before, and had no errors; the first is that of the file itself.

    Raises:
        ConfigError: an environment variable is not set any more.
    """
    file = next(iter(texts))
    return _validated(parse_document(texts[file], file, stage=_stages(), texts=texts), ())


def parse_matrix(document: Document, prefix: tuple[Key, ...] = (), loader: CodeLoader | None = None) -> Reading:
    """The matrix that stands at `prefix` of a document, such as a scenario's `matrix:`.

    Raises:
        ConfigError: every error that was found, in file order, with the places that they have in the document.
    """
    return checked(_validated(document, prefix), document, prefix, loader)


def _validated(document: Document, prefix: tuple[Key, ...]) -> MatrixSpec:
    value = at_path(document.value, prefix)
    if value is None and not prefix and not document.issues:
        raise ConfigError([Issue("error", "the file is empty, expected a matrix", document.file, remedy="begin with `matrix: name`")])
    return validate(MatrixSpec, value, document, prefix)


def checked(spec: MatrixSpec, document: Document | None = None, prefix: tuple[Key, ...] = (), loader: CodeLoader | None = None) -> Reading:
    """A matrix with its warnings. Without a document the findings name their place in the tree alone.

    Raises:
        ConfigError: the matrix has errors.
    """
    findings = check_matrix(spec, loader)
    if document is None:
        from edgematrix.config.check_secrets import misplaced  # noqa: PLC0415 - a file is looked at as it is read

        findings += misplaced(spec)
    errors = [found for found in findings if found.severity == "error"]
    if errors:
        raise ConfigError(told(issues_of(errors, document, prefix), document))
    if document is None:
        return Reading(spec, told(issues_of(findings, None), None))
    return Reading(spec, told([*document.warnings, *issues_of(findings, document, prefix)], document), document.texts)


def _stages() -> Stage:
    """Groups and agents are made as they are read: the plain values of 10,000 of them would take 17 MB."""
    agent = Stage(make=_maker(AgentSpec))
    agents = Stage(rest=agent)
    agent.children.update(agents=agents, llm=_LLM, triggers=Stage(rest=Stage(make=_maker(TriggerSpec))))
    return Stage(children={"agents": agents, "broker": ADDRESS})


def referring() -> Stage:
    """Where a matrix in another file may refer to secrets."""
    agent = Stage(children={"llm": _LLM})
    agents = agent.children["agents"] = Stage(rest=agent)
    return Stage(children={"agents": agents, "broker": ADDRESS})


def _maker(model: type) -> Callable[[dict[str, object]], object]:
    adapter: TypeAdapter[object] = TypeAdapter(model)

    def make(value: dict[str, object]) -> object:
        try:
            return adapter.validate_python(value, by_alias=True, by_name=False)
        except ValidationError:
            return value  # told, with its place, when the whole is validated

    return make
