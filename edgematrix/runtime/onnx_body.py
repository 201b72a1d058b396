"""An agent that is a model over windows: each run gives it one, and puts out what it makes of it."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from edgematrix.agents.window_reading import WindowReading
from edgematrix.errors import RunError, StateError
from edgematrix.models.onnx_wire import Scored
from edgematrix.protocol.duration import SECOND_US
from edgematrix.runtime.engine import ANSWER, Engine
from edgematrix.runtime.observation import Outcome
from edgematrix.runtime.progress import Progress
from edgematrix.runtime.run import Run
from edgematrix.runtime.scorer import Scorer
from edgematrix.runtime.stored_form import pack

__all__ = ["OnnxBody"]

_KIND = "onnx"
_NOTHING_DONE = Progress(_KIND, pack({}))


class OnnxBody:
    """Asks the model of an agent.

    Args:
        scorer: asks it; None where no models are run, as in tests of other things.
        reading: makes a window of what a run was given, where it is no window already.
        classes: names of the labels; empty where it gives none.
        ports: which of `label`, `score` and `embedding` it puts out.
        answers: whether all of it leaves as one object on `out`, too: for whoever calls.
    """

    speaks = True
    leads = True

    def __init__(
        self,
        engine: Engine,
        scorer: Scorer | None,
        reading: WindowReading,
        classes: tuple[str, ...],
        ports: tuple[str, ...],
        timeout_us: int,
        *,
        answers: bool,
    ) -> None:
        self._engine = engine
        self._scorer = scorer
        self._reading = reading
        self._classes = classes
        self._ports = ports
        self._timeout_s = timeout_us / SECOND_US
        self._answers = answers
        self._asked: dict[Run, Callable[[], None]] = {}

    def begin(self, run: Run, now_us: int) -> None:
        """Ask; the run ends when the model has answered."""
        try:
            values = self._window(run)
            if self._scorer is None:
                raise RunError("no models run here", where=run.runner.agent)
        except RunError as error:
            run.end(Outcome.FAILED, now_us, str(error))
            return
        self._asked[run] = self._scorer.score(values.tobytes(), self._timeout_s, lambda *said: self._over(run, *said))

    def cancel(self, run: Run, now_us: int) -> None:  # noqa: ARG002 - the signature of all bodies
        """Wait for the answer no longer."""
        give_up = self._asked.pop(run, None)
        if give_up is not None:
            give_up()

    def fail(self, run: Run, reason: str, now_us: int) -> None:
        """Wait for the answer no longer, and end the run."""
        self.cancel(run, now_us)
        run.end(Outcome.FAILED, now_us, reason)

    def keep(self, run: Run) -> Progress:  # noqa: ARG002 - the signature of all bodies
        """A model is asked anew."""
        return _NOTHING_DONE

    def go_on(self, run: Run, progress: Progress, now_us: int) -> None:  # noqa: ARG002 - the signature of all bodies
        """Ask anew.

        Raises:
            StateError: what it was given is no window any more.
        """
        progress.check(_KIND)
        try:
            values = self._window(run)
        except RunError as error:
            raise StateError(f"the model does not take what it was given any more: {error.what}") from None
        if self._scorer is not None:
            self._asked[run] = self._scorer.score(values.tobytes(), self._timeout_s, lambda *said: self._over(run, *said))

    def waits_for(self, runid: str) -> str:
        """The model."""
        return "the model" if any(run.trail.runid == runid for run in self._asked) else ""

    def _window(self, run: Run) -> array[float]:
        """The window of a run.

        Raises:
            RunError: what it was given is none.
        """
        given = [reading for reading in run.firing.sources.values() if reading is not None]
        if len(given) == 1:
            return given[0].payload if isinstance(given[0].payload, array) else self._reading.read(given[0].value)
        return self._reading.read({name: reading.value for name, reading in run.firing.sources.items() if reading is not None})

    def _over(self, run: Run, scored: Scored | None, error: str, now_us: int) -> None:
        self._asked.pop(run, None)
        if run.over:
            return
        self._engine.ail(run.runner.agent, error.partition(";")[0])  # how long it rests changes each time
        if scored is None:
            run.end(Outcome.FAILED, now_us, error)
        else:
            self._put_out(run, scored, now_us)
        self._engine.settle(now_us)

    def _put_out(self, run: Run, scored: Scored, now_us: int) -> None:
        agent, engine = run.runner.agent, self._engine
        known: dict[str, object] = {
            "label": self._classes[scored.label] if self._classes else None,
            "score": scored.score,
            "embedding": scored.embedding,
        }
        found = {port: known[port] for port in self._ports}
        if self._answers:
            found = {ANSWER: dict(found)} | found
        for port, value in found.items():
            wrong = engine.misfit(agent, port, value)
            if wrong:
                run.end(Outcome.FAILED, now_us, wrong)
                return
        for port, value in found.items():
            engine.emit(agent, port, value, run.trail, now_us)
        run.end(Outcome.DONE, now_us)
