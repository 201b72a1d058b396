"""An agent with `voice:` as its definition says: what it listens for, whom it tells, and whose answers it speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from edgematrix.agents.speech_grammar import SpeechGrammar, speech_grammar
from edgematrix.agents.voice_spec import VoiceSpec
from edgematrix.config.agent_tree import DEFAULT_OUTPUT, AgentNode, AgentTree, Target
from edgematrix.config.finding import Finding, error, warning
from edgematrix.config.yaml_position import Key
from edgematrix.errors import EdgeMatrixError, ModelError, PathError
from edgematrix.models.phone_dictionary import PhoneDictionary, acoustic_model
from edgematrix.models.voice_wire import Ears
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.voice_desk import VoiceWanted
from edgematrix.runtime.voice_runner import VoicePlan

__all__ = ["VoiceAgent", "answer_ports", "check_voices", "frame_topic", "voice_agent"]

_RATE = 16_000
_NO_ESPEAK = "apt install espeak-ng, or `answer: hermes`"
_MEGABYTE = 1 << 20
_ANSWERS = (DEFAULT_OUTPUT, "unknown")
_WAKE_PHONES = {"nabu": "N AA B UW", "mycroft": "M AY K R AO F T"}
"""Words of wake words that the English dictionary lacks."""


class VoiceAgent(msgspec.Struct, frozen=True):
    """All that it takes to build one."""

    wanted: VoiceWanted
    plan: VoicePlan
    answers: tuple[Target, ...]


def voice_agent(tree: AgentTree, node: AgentNode, folder: Path, *, is_scripted: bool = False) -> VoiceAgent:
    """Put together what an agent with a voice is.

    Args:
        is_scripted: nothing is recognised, so that no dictionary is needed.

    Raises:
        PathError: `to` leads nowhere.
        ModelError: there is no such acoustic model, or a word that nobody knows how to say.
        ExpressionError: the rules of the agent that is told are wrong.
    """
    spec = node.spec.voice
    assert spec is not None  # noqa: S101 - whoever asks knows
    target = tree.destination(spec.to, node.path)
    written, ears = _words_as_they_are, _ears(spec)
    if spec.recognise == "pocketsphinx" and not is_scripted:
        grammar = _grammar(target)
        known, model = _dictionary(spec, grammar, folder)
        ears = msgspec.structs.replace(ears, language=str(model), arcs=grammar.arcs, pronounced=known.words, phones=known.phones)
        written = grammar.written
    memory = None if spec.memory_mb is None else spec.memory_mb * _MEGABYTE
    plan = VoicePlan(
        spec.site or node.name,
        (target.node.path, target.port),
        written,
        spec.sure,
        spec.answer,
        spec.speaker,
        spec.wake == "none",
    )
    return VoiceAgent(VoiceWanted(ears, spec.timeout / SECOND_US, memory), plan, answer_ports(tree, target.node))


def frame_topic(node: AgentNode) -> str:
    """Where the frames of its microphone come."""
    assert node.spec.voice is not None  # noqa: S101 - whoever asks knows
    return f"hermes/audioServer/{node.spec.voice.site or node.name}/audioFrame"


def answer_ports(tree: AgentTree, node: AgentNode) -> tuple[Target, ...]:
    """The outputs on which the agent that is told answers."""
    outputs = tree.ports(node).outputs if not node.has_code else {DEFAULT_OUTPUT}
    return tuple(Target(Kind.OUT, node, port) for port in _ANSWERS if port in outputs)


def _words_as_they_are(words: list[str]) -> str | None:
    return " ".join(words) or None


def _ears(spec: VoiceSpec) -> Ears:
    pause, patience, longest = (time * _RATE // SECOND_US for time in (spec.pause, spec.patience, spec.longest))
    return Ears(spec.wake, spec.recognise, spec.language, pause, patience, longest)


def _grammar(target: Target) -> SpeechGrammar:
    sentences = target.node.spec.sentences
    if sentences is None:
        what = f"pocketsphinx hears the sentences of the agent that is told, and {target.node.path} has none"
        raise ModelError(what, remedy="`to:` an agent with `sentences:`, or `recognise: whisper`")
    return speech_grammar(sentences)


def _dictionary(spec: VoiceSpec, grammar: SpeechGrammar, folder: Path) -> tuple[PhoneDictionary, Path]:
    model, file = acoustic_model(spec.language, folder)
    wake = spec.wake.split("_") if spec.wake not in ("none", "push") else []
    known = PhoneDictionary(file, grammar.words.union(wake), dict(spec.pronounce))
    for word in wake:
        phones = _WAKE_PHONES.get(word, "")
        if word in known.missing and phones and set(phones.split()) <= set(known.phones):
            known.words[word] = [phones]
    missing = [word for word in known.missing if word in grammar.words]
    if missing:
        told = ", ".join(repr(word) for word in missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")  # noqa: PLR2004
        raise ModelError(
            f"nobody knows how to say {told} in {spec.language}",
            remedy=f"pronounce: {{{missing[0]}: …}} in its phones, which are {' '.join(known.phones)}",
        )
    return known, model


# Checks


def check_voices(tree: AgentTree, folder: Path | None) -> Iterator[Finding]:
    """What is wrong with the agents that have a voice. Dictionaries are read where there is a folder to look for them in."""
    sites: dict[str, str] = {}
    for node in tree:
        spec = node.spec.voice
        if spec is None:
            continue
        where = (*node.where, "voice")
        site = spec.site or node.name
        if site in sites:
            yield warning(
                where, f"{sites[site]} listens to the microphone {site!r} too: what is said is done twice", "site: …", at_key=True
            )
        sites.setdefault(site, node.path)
        try:
            target = tree.destination(spec.to, node.path)
        except PathError:
            continue  # told by the checks of references
        yield from _listens(node, spec, target, where, folder)
        yield from _speaks(spec, where)


def _listens(node: AgentNode, spec: VoiceSpec, target: Target, where: tuple[Key, ...], folder: Path | None) -> Iterator[Finding]:
    if spec.recognise == "pocketsphinx":
        try:
            grammar = _grammar(target)
        except ModelError as problem:
            yield error((*where, "to"), problem.what, problem.remedy)
            return
        except EdgeMatrixError as problem:
            if "recogniser" in problem.what:
                yield error((*where, "to"), problem.what, problem.remedy)
            return  # what else is wrong with a rule is told where it stands
        for slot, last in grammar.numbers.items():
            yield warning((*where, "to"), f"of the numbers of {{{slot}}} those up to {last:g} can be said", "a smaller range", at_key=True)
    from edgematrix.models.voice_model import lacking  # noqa: PLC0415 - looks for packages

    missing = lacking(spec.recognise, spec.wake)
    if missing is not None:
        yield warning(where, missing.what, missing.remedy, at_key=True)
    elif spec.recognise == "pocketsphinx" and folder is not None:
        try:
            _dictionary(spec, grammar, folder)
        except ModelError as found:
            is_elsewhere = node.spec.host is not None or node.spec.needs is not None
            tell: Callable[..., Finding] = warning if is_elsewhere and "no folder" in found.what else error
            yield tell((*where, "language" if "no folder" in found.what else "to"), found.what, found.remedy)


def _speaks(spec: VoiceSpec, where: tuple[Key, ...]) -> Iterator[Finding]:
    if spec.answer == "espeak":
        from edgematrix.models.espeak import has_espeak  # noqa: PLC0415 - looks for a program

        if not has_espeak():
            yield warning((*where, "answer"), "espeak-ng is not on PATH, so nothing is spoken", _NO_ESPEAK)
