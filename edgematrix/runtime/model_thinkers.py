"""Makes what lets the language models of a host's agents answer. Agents that name the same model file, or server, share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from edgematrix.composition.llm_plan import LlmPlan
from edgematrix.composition.llm_spec import LlmSpec
from edgematrix.composition.sentences_plan import SentencesPlan
from edgematrix.identity.reference import fill
from edgematrix.models.talker import Talker
from edgematrix.protocol.ports import Clock
from edgematrix.runtime.call_budget import CallBudget
from edgematrix.runtime.model_thinker import ModelDesk, ModelThinker
from edgematrix.runtime.workshop import Workshop

if TYPE_CHECKING:
    from edgematrix.identity.secrets import Source
    from edgematrix.runtime.near_thinker import NearDesk, NearThinker

__all__ = ["Thinkers"]


class Thinkers:
    """The models of a host.

    Args:
        folder: where the path of a model's file begins.
        secrets: makes the source of keys; None where there is none, as in a simulation.
        kept: a folder for what models keep over a restart; None for nothing.
        scripts: by the path of an agent what its model is to answer, in place of the real one, as the provider `fake` has it.
        asks_servers: whether a server may be asked, as in a simulation it may not.
    """

    def __init__(
        self,
        clock: Clock,
        folder: Path,
        secrets: Callable[[], Source] | None = None,
        kept: Path | None = None,
        *,
        scripts: Mapping[str, Sequence[Any]] = MappingProxyType({}),
        asks_servers: bool = True,
    ) -> None:
        self._clock = clock
        self._folder = folder
        self._secrets = secrets
        self._kept = kept
        self._scripts = scripts
        self._asks_servers = asks_servers
        self._desks: WeakValueDictionary[object, ModelDesk] = WeakValueDictionary()
        """Each lives as long as an agent that asks it."""
        self._near_desks: WeakValueDictionary[object, NearDesk] = WeakValueDictionary()

    def __call__(
        self,
        path: str,
        plan: LlmPlan | SentencesPlan,
        workshop: Workshop,
        ails: Callable[[str], None],
        budget: CallBudget | None = None,
    ) -> ModelThinker | NearThinker:
        """Make one; nothing of a model is loaded yet, and no server is asked.

        Raises:
            ModelError: the model, or what runs it, is not installed.
        """
        if isinstance(plan, SentencesPlan):
            return self._near(path, plan, workshop, ails)
        return ModelThinker(path, plan, self._desk(path, plan.spec), workshop, self._clock, ails, budget)

    def close(self) -> None:
        """End every model. Whoever waits for one gets an error."""
        for desk in list(self._desks.values()):
            desk.close()
        for near in list(self._near_desks.values()):
            near.close()
        self._desks.clear()
        self._near_desks.clear()

    def _near(self, path: str, plan: SentencesPlan, workshop: Workshop, ails: Callable[[str], None]) -> NearThinker:
        from edgematrix.agents.near import NearSentences  # noqa: PLC0415 - few agents have one
        from edgematrix.models.near_model import NearModel, find_near  # noqa: PLC0415
        from edgematrix.runtime.near_thinker import NearDesk, NearThinker, ScriptedNear  # noqa: PLC0415

        near = plan.near
        assert isinstance(near, NearSentences)  # noqa: S101 - it is asked of those alone
        script = self._scripts.get(path)
        if script is not None:
            return NearThinker(path, near, ScriptedNear(path, near, script), workshop, self._clock, ails)
        spec = near.spec
        files = find_near(spec.model, self._folder, spec.tokenizer or "", spec.pooling or "mean")
        desk = self._near_desks.get(files)
        if desk is None:
            memory_bytes_max = None if spec.memory_mb is None else int(spec.memory_mb) << 20
            desk = self._near_desks[files] = NearDesk(NearModel(spec.model, files, memory_bytes_max))
        return NearThinker(path, near, desk, workshop, self._clock, ails)

    def _desk(self, path: str, spec: LlmSpec) -> ModelDesk:
        script = self._scripts.get(path, spec.script if spec.provider == "fake" else None)
        is_refused = script is None and spec.provider == "openai" and not self._asks_servers
        if script is not None or is_refused:
            from edgematrix.models.fake_talker import FakeTalker  # noqa: PLC0415 - for tests

            over = f"a simulation asks no server; a scenario says under `models:` what {path} is to answer" if is_refused else ""
            return self._shared(object(), lambda: FakeTalker(script or (), over), spec, 1)
        if spec.provider == "openai":
            return self._shared(
                (spec.url, spec.model, spec.api_key, spec.context, spec.parallel, spec.waiting_max),
                lambda: self._server(path, spec),
                spec,
                spec.parallel,
            )
        from edgematrix.models.llama_model import find_model  # noqa: PLC0415 - agents of other providers do not need it

        file = find_model(spec.model, self._folder)
        return self._shared((file, spec.context, spec.threads, spec.memory_mb), lambda: self._llama(file, spec), spec, 1)

    def _shared(self, key: object, make: Callable[[], Talker], spec: LlmSpec, parallel: int) -> ModelDesk:
        desk = self._desks.get(key)
        if desk is None:
            desk = self._desks[key] = ModelDesk(spec.model, make(), parallel, spec.waiting_max)
        return desk

    def _server(self, path: str, spec: LlmSpec) -> Talker:
        from edgematrix.models.openai_talker import OpenAiTalker  # noqa: PLC0415 - 20 ms for HTTP, where a server is named

        assert spec.url is not None  # noqa: S101 - a definition without one was refused
        secrets, reference = self._secrets, spec.api_key
        key: Callable[[], str] | None = None
        if reference is not None and secrets is not None:
            source = secrets()

            def read() -> str:
                return fill(reference, lambda name: source.read(name, path).reveal())

            key = read
        return OpenAiTalker(spec.model, spec.url, key, context=spec.context)

    def _llama(self, file: Path, spec: LlmSpec) -> Talker:
        from edgematrix.models.llama_talker import LlamaTalker  # noqa: PLC0415

        return LlamaTalker(
            spec.model,
            file,
            context=spec.context,
            threads=spec.threads,
            memory_bytes_max=None if spec.memory_mb is None else spec.memory_mb << 20,
            kept=self._kept,
        )
