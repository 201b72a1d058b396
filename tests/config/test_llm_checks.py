"""What is wrong with a definition of a language model, and what the definition grants."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edgematrix.access.grant import Access
from edgematrix.config.authority import principals_of
from edgematrix.config.document import parse_document
from edgematrix.config.reading import parse_matrix, read_matrix
from edgematrix.errors import ConfigError

MATRIX = """
matrix: home
agents:
  lamp: {device: {writes: {set: {topic: z/lamp}}}}
  idle: {triggers: {g: {on: {t: {topic: t/idle}}, do: [{publish: {topic: t/x, payload: 1}}]}}, inputs: {x: text}}
  helper: %s
  reader: {triggers: {g: {on: {r: {from: helper.%s}}, do: [{publish: {topic: t, payload: 1}}]}}}
"""


def wrong_with(helper: str, reads: str = "out") -> str:
    """All findings, as one text."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "home.yaml")
        file.write_text(MATRIX % (helper, reads))
        try:
            reading = read_matrix(file)
        except ConfigError as error:
            return str(error)
    return "\n".join(map(str, reading.warnings))


@pytest.mark.parametrize(
    ("helper", "told"),
    [
        ("{llm: {provider: fake, modell: x}}", "the key 'modell' is not known here"),
        ("{llm: {provider: openay}}", "did you mean 'openai'?"),
        ("{llm: {provider: openai}}", "the provider openai needs a `url`"),
        ("{llm: {provider: openai, url: 'localhost:8000'}}", "expected the address of a server, such as http://127.0.0.1:8000/v1"),
        ("{llm: {provider: openai, url: 'http://me:secret@x/v1'}}", "the address of a server holds no password"),
        ("{llm: {provider: fake, url: 'http://x/v1'}}", "`url` is for the provider openai, and this is fake"),
        ("{llm: {provider: openai, url: 'http://x/v1', api_key: sk-123}}", "a key does not stand in a matrix: expected `${secret:name}`"),
        ("{llm: {provider: openai, url: 'http://x/v1', script: [a]}}", "`script` is for the provider fake"),
        ("{llm: {provider: fake, prompt: '${a +}'}}", "agents.helper.llm.prompt"),
        ("{llm: {provider: fake, system: 'It is ${t}.'}}", "`system` is the same for each run and holds no ${…}"),
        ("{llm: {provider: fake, output: texts}}", "did you mean 'text'?"),
        ("{llm: {provider: fake, output: {type: objekt}}}", "no JSON Schema"),
        ("{llm: {provider: fake, output: bool, fallback: maybe}}", "the fallback is no answer of the type of `output`"),
        ("{llm: {provider: fake, fallback: 3}}", "the answer is a text, and the fallback is none"),
        ("{llm: {provider: fake, context: 128, max_tokens: 128}}", "leaves no room in a context of 128"),
        ("{llm: {provider: fake, temperature: 3}}", "temperature"),
        ("{llm: {provider: fake, budget: {tokens: 0}}}", "tokens"),
        ("{llm: {model: smollm2-153m}}", "there is no model 'smollm2-153m' at agents.helper.llm.model (did you mean 'smollm2-135m'?)"),
        ("{llm: {model: qwen}}", "there is no model 'qwen'"),
        ("{llm: {provider: fake}, deadline: 3s}", "the deadline of a llm stands under `llm:`"),
        ("{llm: {provider: fake}, python: 'a:b'}", "is llm, python at once"),
        ("{llm: {provider: fake}, tools: [lamp.sett]}", "did you mean 'set'?"),
        ("{llm: {provider: fake}, tools: [lamb.set]}", "did you mean lamp.set?"),
        ("{llm: {provider: fake}, tools: [lamp.set, /home/lamp.set]}", "the tool '/home/lamp.set' is named twice"),
        ("{llm: {provider: fake}, tools: [helper]}", "is a tool of its own"),
        ("{llm: {provider: fake}, tools: [idle.x]}", "nothing in home/idle reads its input 'x'"),
        ("{python: 'a:b', tools: [lamp.set]}", "`tools` is for agents with llm:"),
        ("{llm: {provider: fake}, outputs: {mood: text}}", "a llm puts nothing out on 'mood'"),
    ],
)
def test_what_is_wrong_is_told_where_it_is(helper: str, told: str) -> None:
    assert told in wrong_with(helper)


@pytest.mark.parametrize(
    "helper",
    [
        "{llm: {provider: fake}}",
        "{llm: {provider: openai, url: 'http://127.0.0.1:8000/v1', model: qwen3-8b, api_key: '${secret:llm}'}}",
        "{llm: {provider: fake, prompt: 'Is ${room} warm?', system: 'Cost: $5.'}, inputs: {room: text}, tools: [lamp.set]}",
        "{llm: {provider: fake, output: {type: object, properties: {out: {}, error: {}, 'a b': {}}}}}",
    ],
)
def test_what_is_right_is_not_told(helper: str) -> None:
    assert wrong_with(helper) == ""


def test_the_fields_of_an_answer_are_known_ports() -> None:
    helper = "{llm: {provider: fake, output: {type: object, properties: {mood: {type: string}}}}}"
    assert wrong_with(helper, "mood") == ""
    assert "did you mean 'mood'?" in wrong_with(helper, "moot")


def test_tools_are_granted_and_nothing_else() -> None:
    matrix = """
matrix: home
agents:
  lamp: {device: {writes: {set: {topic: z/lamp}, blink: {topic: z/blink}}}, host: a}
  door: {device: {writes: {unlock: {topic: z/door}}}, host: a}
  helper: {llm: {provider: fake}, tools: [lamp.set], host: b}
"""
    spec = parse_matrix(parse_document(matrix, "home.yaml")).spec
    (host,) = [principal for principal in principals_of(spec) if principal.name == "b"]
    written = {grant.filter for grant in host.grants if grant.access is Access.WRITE and "/in/" in grant.filter}
    assert "em/in/home/lamp/set" in written
    assert not {"em/in/home/lamp/blink", "em/in/home/door/unlock"} & written
