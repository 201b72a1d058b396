"""`voice:` of an agent: what a microphone hears becomes text, and what is answered is spoken (docs/voice.md). Read-only once made."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from edgematrix.protocol.fields import PART, Duration, Microseconds, Number, Whole

__all__ = ["VOICE_INPUTS", "VOICE_OUTPUTS", "WAKE_WORDS", "VoiceSpec"]

VOICE_INPUTS: Final = ("listen",)
"""True: listen now, without a wake word; false: what was said is said."""
VOICE_OUTPUTS: Final = ("wake", "text", "unheard", "answer")
WAKE_WORDS: Final = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")
"""Those that pymicro-wakeword has a model of."""
_SITE = r"^[^/+#\s]+$"


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class VoiceSpec:
    """A microphone, and who is told what it hears."""

    to: Annotated[str, Field(min_length=1, max_length=1_000, examples=["helper"])]
    """The agent that is given `{text, confidence, site}`, and whose answer is spoken."""
    site: Annotated[str, Field(pattern=_SITE, max_length=100)] | None = None
    """The microphone's `siteId` in the topics of Hermes; by default the agent's own name."""
    wake: Literal["alexa", "hey_jarvis", "hey_mycroft", "okay_nabu", "none", "push"] = "alexa"
    """The word before a command; `none`: all that is said counts; `push`: what is said after `true` on the input `listen`."""
    recognise: Literal["pocketsphinx", "whisper"] = "pocketsphinx"
    """`pocketsphinx` hears the sentences of the agent `to`, and nothing else; `whisper` anything."""
    language: Annotated[str, Field(min_length=1, max_length=500, examples=["en-us", "models/de"])] = "en-us"
    """`en-us`, or a folder beside the matrix with an acoustic model of pocketsphinx and one `*.dict`; whisper its first two letters."""
    pronounce: dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=200)]] = Field(default_factory=dict)
    """Words that the dictionary lacks, each in its phones: `{nabu: N AA B UW}`."""
    sure: Annotated[Number, Field(ge=0, le=1)] = 0.6
    """From which confidence on a text counts."""
    pause: Duration = Microseconds(300_000)
    """How long it is silent until what was said is said."""
    patience: Duration = Microseconds(5_000_000)
    """How long is waited for the first word after the wake word."""
    longest: Duration = Microseconds(15_000_000)
    """How long somebody may speak; what is longer is no command."""
    answer: Literal["none", "hermes", "espeak"] = "none"
    """Where answers go besides the port: to a speech service of Hermes, or as a WAV, made by espeak-ng, to the site's loudspeaker."""
    speaker: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-]+$", max_length=60)] = "en-us"
    """The voice of espeak-ng."""
    timeout: Duration = Microseconds(10_000_000)
    """How long the models may take for a second of sound."""
    memory_mb: Annotated[Whole, Field(ge=64, le=1_000_000)] | None = None
    """Address space of the models' process; by default 1 GiB, with whisper 3 GiB."""
