"""A language model behind a server that speaks as OpenAI's: llama.cpp's, vLLM, Ollama.

`POST {url}/chat/completions` with `stream`, answered by server-sent events; what is asked and answered is at
https://platform.openai.com/docs/api-reference/chat. The HTTP client of the standard library does it: nothing is installed, nothing is
loaded before a server is named, and a request that waits for its answer is stopped from another thread by shutting its socket down.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from edgematrix.errors import EdgeMatrixError, ModelError
from edgematrix.models.completion import Completion, HalfError
from edgematrix.models.fitting import fitted
from edgematrix.models.halt import Halt
from edgematrix.models.talk import Reply, Saying, Talk

__all__ = ["ATTEMPTS", "OpenAiTalker"]

ATTEMPTS: Final = 3
"""How often a request is sent that the server refuses for now, or that does not reach it."""
_WAIT_INITIAL_S: Final = 0.1
_WAIT_MAX_S: Final = 5.0
_CONNECT_S_MAX: Final = 5.0
_CHARACTERS_PER_TOKEN: Final = 3
"""What `context` is counted in here: nobody but the server knows its tokens, and English has about four to one."""
_LINE_BYTES_MAX: Final = 1 << 20
_ANSWER_BYTES_MAX: Final = 8 << 20
_READ_BYTES: Final = 65_536
_TOLD_MAX: Final = 200
_FOR_NOW: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Statuses after which a request is sent again."""
_NO_SUCH_FORMAT: Final = frozenset({400, 404, 415, 422, 500, 501})
"""Statuses of servers that do not know `response_format`, or a form of it, and name it: llama-cpp-python's says 500."""
_FORMATS: Final = ("json_schema", "json_object")
"""Ways to say what the answer is to be: as OpenAI does, and as llama-cpp-python's server has it."""


class OpenAiTalker:
    """Asks a server. Each request has a connection of its own.

    Args:
        model: as the server calls it.
        url: what stands before `/chat/completions`.
        key: gives what proves who we are, asked at each request; None where the server asks for nothing.
        context: how many tokens the server takes; None for as many as there are.
    """

    def __init__(self, model: str, url: str, key: Callable[[], str] | None = None, *, context: int | None = None) -> None:
        self._model = model
        parts = urlsplit(url)
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._path = f"{parts.path.rstrip('/')}/chat/completions"
        self._where = f"{parts.scheme}://{parts.netloc}"
        self._key = key
        self._context = context
        self._format = 0
        """The place in `_FORMATS` of what the server understands."""
        self._trouble = ""
        self._is_closed = False

    @property
    def trouble(self) -> str:
        """Why the server was not reached last; empty if it was."""
        return self._trouble

    def talk(self, talk: Talk, timeout_s: float, *, heard: Callable[[Saying], None] | None = None, halt: Halt | None = None) -> Reply:
        """Ask, and again within bounds where the server says that it cannot for now.

        Raises:
            ModelError: it cannot be reached, refuses, is too slow, or answers what is no answer.
        """
        until_s = time.monotonic() + timeout_s
        note = ""
        turns = talk.turns
        if self._context is not None:
            turns, note = fitted(turns, max(0, self._context - talk.tokens_max) * _CHARACTERS_PER_TOKEN)
        attempt = 0
        while True:
            request = _Request(self, until_s, timeout_s, halt or Halt())
            try:
                reply = request.send(self._asked(talk, turns), heard)
            except _AgainError as error:
                attempt += 1
                wait_s = min(_WAIT_INITIAL_S * 2 ** (attempt - 1), _WAIT_MAX_S)
                self._trouble = error.what if error.is_unreached else ""
                if attempt >= ATTEMPTS or request.is_heard or time.monotonic() + wait_s >= until_s:
                    told = f" (after {attempt} attempts)" if attempt > 1 else ""
                    raise ModelError(f"{error.what}{told}") from None
                request.rest(wait_s)
            except _NoSuchFormatError:
                self._format += 1
            else:
                self._trouble = ""
                return Reply(reply.text, reply.calls, reply.tokens, reply.is_cut, note) if note else reply

    def close(self) -> None:
        """Ask no more."""
        self._is_closed = True

    # For a request

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        """A connection that is not open yet.

        Raises:
            ModelError: nothing is asked any more.
        """
        if self._is_closed:
            raise ModelError(f"the model {self._model} is closed")
        if self._is_tls:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=ssl.create_default_context())
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)

    @property
    def path(self) -> str:
        """Where requests go."""
        return self._path

    def headers(self) -> dict[str, str]:
        """What stands before a request.

        Raises:
            ModelError: the key cannot be read, or cannot be sent.
        """
        found = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if self._key is not None:
            try:
                key = self._key()
            except EdgeMatrixError as error:
                raise ModelError(str(error)) from None
            if not key.isascii() or not key.isprintable():
                raise ModelError(f"the key for the model {self._model} holds what cannot be sent in a header")
            found["Authorization"] = f"Bearer {key}"
        return found

    def may_have_format(self) -> bool:
        """Whether there is another way to say what the answer is to be."""
        return self._format < len(_FORMATS)

    def told(self, what: str) -> str:
        """What went wrong, with who it was."""
        return f"the server {self._where} of the model {self._model} {what}"

    def _asked(self, talk: Talk, turns: tuple[Any, ...]) -> bytes:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [_message(turn) for turn in turns],
            "max_tokens": talk.tokens_max,
            "temperature": talk.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if talk.tools:
            functions = [{"name": tool.name, "description": tool.about, "parameters": tool.schema} for tool in talk.tools]
            body["tools"] = [{"type": "function", "function": function} for function in functions]
        if talk.schema is not None and self._format < len(_FORMATS):
            body["response_format"] = _format(_FORMATS[self._format], talk.schema)
        return msgspec.json.encode(body)


class _AgainError(Exception):
    """It may go well another time."""

    def __init__(self, what: str, *, is_unreached: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.is_unreached = is_unreached


class _NoSuchFormatError(Exception):
    """The server does not know this way to say what the answer is to be."""


class _Request:
    """One request, until its answer is complete."""

    def __init__(self, talker: OpenAiTalker, until_s: float, timeout_s: float, halt: Halt) -> None:
        self._talker = talker
        self._until_s = until_s
        self._timeout_s = timeout_s
        self._halt = halt
        self._socket: socket.socket | None = None
        self.is_heard = False
        """Whether somebody has heard a piece of its answer."""

    def send(self, body: bytes, heard: Callable[[Saying], None] | None) -> Reply:
        connection = self._talker.connection(min(_CONNECT_S_MAX, self._left_s()))
        with closing(connection):
            try:
                connection.connect()
            except (OSError, http.client.HTTPException) as error:
                raise _AgainError(self._talker.told(f"cannot be reached: {_short(error)}"), is_unreached=True) from None
            connected = self._socket = connection.sock  # the connection forgets it once the answer begins
            self._halt.attach(lambda: _shut(connected))
            # Each wait for the socket has a bound, but who says a byte now and then, in a header, would be waited for again and again.
            end = threading.Timer(self._left_s(), _shut, (connected,))
            end.daemon = True
            end.start()
            try:
                self._refuse_halted()
                return self._exchange(connection, body, heard)
            except TimeoutError:
                self._refuse_halted()
                raise ModelError(self._talker.told(f"did not answer within {self._timeout_s:g} s")) from None
            except (OSError, http.client.HTTPException) as error:
                self._refuse_over()
                raise _AgainError(self._talker.told(f"broke off: {_short(error)}")) from None
            finally:
                end.cancel()
                self._halt.attach(None)

    def rest(self, wait_s: float) -> None:
        """Wait before the next attempt.

        Raises:
            ModelError: it was stopped meanwhile.
        """
        end_s = time.monotonic() + wait_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._refuse_halted()
            time.sleep(min(left_s, 0.1))
        self._refuse_halted()

    def _exchange(self, connection: http.client.HTTPConnection, body: bytes, heard: Callable[[Saying], None] | None) -> Reply:
        self._bound()
        connection.request("POST", self._talker.path, body, self._talker.headers())
        self._bound()
        try:
            with connection.getresponse() as response:
                return self._answer(response, body, heard)
        except HalfError as error:  # such as of a server that gives up one request for the next
            self._refuse_over()
            raise _AgainError(self._talker.told(f"gave half an answer: {error}")) from None
        except ValueError as error:
            self._refuse_over()
            raise ModelError(self._talker.told(f"answered what is no answer: {_short(error)}")) from None

    def _answer(self, response: http.client.HTTPResponse, asked: bytes, heard: Callable[[Saying], None] | None) -> Reply:
        if response.status != http.client.OK:
            self._refused(response.status, b"".join(self._data(response)), asked)
        completion = Completion()
        if "text/event-stream" in (response.getheader("Content-Type") or ""):
            for data in self._events(response):
                text = completion.take_chunk(data)
                if text and heard is not None:
                    self.is_heard = True
                    heard(Saying(text))
        else:
            completion.take_whole(b"".join(self._data(response)))
        self._refuse_halted()
        return completion.reply()

    def _events(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        """The data of each event, until the last one, `[DONE]`. An answer that ends before is told by whoever puts it together."""
        held = b""
        for data in self._data(response):
            *lines, held = (held + data).split(b"\n")
            if len(held) > _LINE_BYTES_MAX:
                raise ValueError(f"a line of it is longer than {_LINE_BYTES_MAX} bytes")
            for line in lines:
                if line.startswith(b"data:"):
                    event = line[5:].strip()
                    if event == b"[DONE]":
                        return
                    yield event

    def _data(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        """What comes, as it comes."""
        size = 0
        while True:
            self._bound()
            data = response.read1(_READ_BYTES)
            if not data:
                return
            size += len(data)
            if size > _ANSWER_BYTES_MAX:
                raise ValueError(f"it is longer than {_ANSWER_BYTES_MAX} bytes")
            yield data

    def _refused(self, status: int, body: bytes, asked: bytes) -> None:
        """Say what a status other than 200 means.

        Raises:
            _AgainError, _NoSuchFormatError, ModelError: always one of them.
        """
        what = self._talker.told(f"refuses: {status} {http.client.responses.get(status, '')}{_reason(body)}".rstrip())
        if status in _NO_SUCH_FORMAT and b'"response_format"' in asked and b"format" in body and self._talker.may_have_format():
            raise _NoSuchFormatError
        if status in _FOR_NOW:
            raise _AgainError(what)
        raise ModelError(what)

    def _bound(self) -> None:
        """Let the next wait for the socket last no longer than what is left."""
        self._refuse_halted()
        if self._socket is not None:
            self._socket.settimeout(self._left_s())

    def _refuse_over(self) -> None:
        """Say why it was ended from here, if it was."""
        self._refuse_halted()
        self._left_s()

    def _left_s(self) -> float:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise ModelError(self._talker.told(f"did not answer within {self._timeout_s:g} s"))
        return left_s

    def _refuse_halted(self) -> None:
        if self._halt.is_wanted:
            raise ModelError(self._talker.told("was told to stop"))


def _message(turn: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.calls:
        found["content"] = turn.content or None
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": msgspec.json.encode(call.arguments).decode()}}
            for call in turn.calls
        ]
    if turn.role == "tool":
        found["tool_call_id"] = turn.id
    return found


def _format(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    if name == "json_schema":
        return {"type": name, "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    return {"type": name, "schema": schema}


def _reason(body: bytes) -> str:
    """What a server says about its refusal: `{"error": {"message": …}}` with most."""
    try:
        said = msgspec.json.decode(body)
    except ValueError:
        said = body.decode(errors="replace")
    if isinstance(said, dict):
        said = said.get("error", said.get("detail", said))
    if isinstance(said, dict):
        said = said.get("message", said)
    text = " ".join(str(said).split())
    return f": {text[:_TOLD_MAX]}" if text else ""


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:_TOLD_MAX]


def _shut(connected: socket.socket | None) -> None:
    if connected is not None:
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)
