"""A server that speaks as OpenAI's, and all that may be wrong with one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from talk_server import Request, TalkServer, talk_server

from edgematrix.errors import ModelError, SecretError
from edgematrix.models.completion import Completion
from edgematrix.models.halt import Halt
from edgematrix.models.openai_talker import ATTEMPTS, OpenAiTalker
from edgematrix.models.talk import Saying, Talk, Tool, ToolCall, Turn

MOOD = {"type": "object", "properties": {"mood": {"type": "string"}}}
HELLO = Talk((Turn("system", "You are brief."), Turn("user", "Hello?")), streams=True)


@pytest.fixture
def server() -> Iterator[TalkServer]:
    with talk_server() as made:
        yield made


def ask(server: TalkServer, talk: Talk = HELLO, timeout_s: float = 10.0, **more: Any) -> Any:
    return OpenAiTalker("qwen3-8b", server.url).talk(talk, timeout_s, **more)


def refused(server: TalkServer, talk: Talk = HELLO, timeout_s: float = 10.0, **more: Any) -> str:
    with pytest.raises(ModelError) as caught:
        ask(server, talk, timeout_s, **more)
    return str(caught.value)


def test_what_is_asked_is_what_openai_takes_and_pieces_come_as_they_are_said(server: TalkServer) -> None:
    pieces: list[Saying] = []
    reply = ask(server, heard=pieces.append)
    assert (reply.text, reply.tokens, reply.is_cut, reply.note) == ("Hello there.", 7, False, "")
    assert "".join(piece.text for piece in pieces) == "Hello there."
    (asked,) = server.asked
    assert asked["path"] == "/v1/chat/completions"
    assert asked["model"] == "qwen3-8b"
    assert asked["messages"] == [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Hello?"}]
    assert (asked["max_tokens"], asked["temperature"], asked["stream"]) == (256, 0.0, True)
    assert "response_format" not in asked
    assert "authorization" not in server.headers[0]


def test_a_key_is_asked_for_at_each_request_and_one_that_is_not_there_is_told(server: TalkServer) -> None:
    keys = iter(["one", "two"])
    talker = OpenAiTalker("m", server.url, lambda: next(keys))
    talker.talk(HELLO, 10.0)
    talker.talk(HELLO, 10.0)
    assert [headers["authorization"] for headers in server.headers] == ["Bearer one", "Bearer two"]

    def missing() -> str:
        raise SecretError("there is no secret 'llm'")

    with pytest.raises(ModelError, match="there is no secret 'llm'"):
        OpenAiTalker("m", server.url, missing).talk(HELLO, 10.0)
    with pytest.raises(ModelError, match="cannot be sent in a header") as caught:
        OpenAiTalker("m", server.url, lambda: "pass\r\nword").talk(HELLO, 10.0)
    assert "pass" not in str(caught.value)


def test_an_answer_that_is_not_streamed_is_one_too(server: TalkServer) -> None:
    server.answer = lambda request: request.status(200, {"choices": [{"message": {"content": "Hi."}, "finish_reason": "length"}]})
    reply = ask(server)
    assert (reply.text, reply.is_cut) == ("Hi.", True)


def test_tools_are_functions_and_their_calls_are_put_together(server: TalkServer) -> None:
    def answer(request: Request) -> None:
        request.begin()
        request.delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "lamp_set", "arguments": ""}}])
        request.delta(tool_calls=[{"index": 0, "function": {"arguments": '{"on": tr'}}])
        request.delta(tool_calls=[{"index": 0, "function": {"arguments": "ue}"}}])
        request.delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "heat", "arguments": "{}"}}])
        request.delta("tool_calls")
        request.data("[DONE]")

    server.answer = answer
    tool = Tool("lamp_set", "The lamp.", {"type": "object"})
    turns = (Turn("user", "x"), Turn("assistant", "", (ToolCall("z", "heat", {"value": 1}),)), Turn("tool", "done", id="z"))
    reply = ask(server, Talk(turns, tools=(tool,)))
    assert reply.calls == (ToolCall("a", "lamp_set", {"on": True}), ToolCall("b", "heat", {}))
    (asked,) = server.asked
    assert asked["tools"] == [
        {"type": "function", "function": {"name": "lamp_set", "description": "The lamp.", "parameters": {"type": "object"}}}
    ]
    call = {"id": "z", "type": "function", "function": {"name": "heat", "arguments": '{"value":1}'}}
    assert asked["messages"][1:] == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "done", "tool_call_id": "z"},
    ]


def test_a_type_is_asked_for_in_the_way_that_the_server_knows(server: TalkServer) -> None:
    def answer(request: Request) -> None:
        form = request.body.get("response_format", {})
        if form.get("type") == "json_schema":
            request.status(422, {"detail": [{"loc": ["body", "response_format", "type"], "msg": "json_object or text"}]})
        else:
            assert form == {"type": "json_object", "schema": MOOD}
            request.text('{"mood": "good"}')

    server.answer = answer
    talker = OpenAiTalker("m", server.url)
    for _ in range(2):
        assert talker.talk(Talk((Turn("user", "x"),), schema=MOOD), 10.0).text == '{"mood": "good"}'
    assert len(server.asked) == 3, "what the server does not know is tried once"


def test_a_server_that_knows_no_types_is_asked_without(server: TalkServer) -> None:
    def answer(request: Request) -> None:
        if "response_format" in request.body:
            request.status(400, {"error": {"message": "response_format is not supported"}})
        else:
            request.text("{}")

    server.answer = answer
    assert ask(server, Talk((Turn("user", "x"),), schema=MOOD)).text == "{}"


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_server_that_cannot_for_now_is_asked_again(server: TalkServer, status: int) -> None:
    server.answer = lambda request: request.status(status, {"error": {"message": "busy"}}) if len(server.asked) < 3 else request.text("Hi.")
    assert ask(server).text == "Hi."
    assert len(server.asked) == 3


def test_a_server_that_never_can_is_given_up_and_told(server: TalkServer) -> None:
    server.answer = lambda request: request.status(500, b"Traceback: out of luck", "text/plain")
    told = refused(server)
    assert "refuses: 500 Internal Server Error: Traceback: out of luck (after 3 attempts)" in told
    assert len(server.asked) == ATTEMPTS


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, {"error": {"message": "no key"}}, "refuses: 401 Unauthorized: no key"),
        (404, {"error": "model not found"}, "refuses: 404 Not Found: model not found"),
        (400, {"error": {"message": "maximum context length is 512 tokens"}}, "maximum context length is 512 tokens"),
        (400, [], "refuses: 400 Bad Request"),
        (301, {}, "refuses: 301"),
        (204, {}, "refuses: 204"),
    ],
)
def test_a_refusal_is_told_and_not_tried_again(server: TalkServer, status: int, body: object, told: str) -> None:
    server.answer = lambda request: request.status(status, body)
    assert told in refused(server)
    assert len(server.asked) == 1


def broken(*events: object, done: bool = True) -> Any:
    def answer(request: Request) -> None:
        request.begin()
        for event in events:
            request.data(event)
        if done:
            request.data("[DONE]")

    return answer


CALL = {"choices": [{"delta": {"tool_calls": [{"function": {"name": "x", "arguments": "[1"}}]}, "finish_reason": "x"}]}
HALF = {"choices": [{"delta": {"content": "It is"}}]}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (broken('{"choices": [{'), "it is no JSON"),
        (broken("[]"), "it is no object"),
        (broken({"choices": "none"}), "it has no choices"),
        (broken({"choices": [1]}), "it has no choices"),
        (broken({"error": {"message": "CUDA out of memory"}}), "it failed: {'message': 'CUDA out of memory'}"),
        (broken(HALF, done=False), "it ends in the middle"),
        (broken(HALF), "it ends in the middle"),
        (broken(), "it ends in the middle"),
        (broken({"choices": [{"delta": {"content": 3}}]}), "its content is no text"),
        (
            broken({"choices": [{"delta": {"tool_calls": [{"function": {"name": "x", "arguments": "[1"}}]}, "finish_reason": "x"}]}),
            "are no object",
        ),
        (broken({"choices": [{"delta": {"tool_calls": [3]}}]}), "one of its calls is none"),
        (broken({"choices": [{"delta": {"tool_calls": 3}}]}), "its calls are no list"),
        (lambda request: request.status(200, b"<html>", "text/html"), "it is no JSON"),
        (lambda request: request.status(200, {"choices": [{}]}), "it has no message"),
        (lambda request: request.status(200, b"[" * 100_000), "it is no JSON"),
    ],
)
def test_what_is_no_answer_is_told(server: TalkServer, answer: Any, told: str) -> None:
    server.answer = answer
    assert told in refused(server)


def test_an_answer_without_end_is_cut_off(server: TalkServer) -> None:
    def endless(request: Request) -> None:
        request.begin()
        while True:
            request.handler.wfile.write(b"x" * 65_536)

    server.answer = endless
    assert "is longer than" in refused(server, timeout_s=30.0)


def test_a_server_that_is_slow_costs_no_more_than_its_time(server: TalkServer) -> None:
    def sleep(request: Request) -> None:
        request.server_gone.wait(30)

    server.answer = sleep
    began_s = time.monotonic()
    assert "did not answer within 0.3 s" in refused(server, timeout_s=0.3)
    assert time.monotonic() - began_s < 10  # not the half minute for which it hangs


def test_one_that_drips_is_not_waited_for_longer_either(server: TalkServer) -> None:
    def drip(request: Request) -> None:
        request.begin()
        while not request.server_gone.wait(0.02):
            request.delta(content="x")

    server.answer = drip
    assert "did not answer within 0.4 s" in refused(server, timeout_s=0.4)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"X-Slow: ", b"x"),
        (b"X: y\r\n", b"A: b\r\n"),
        (b"Transfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n", b"0"),
        (b"Content-Type: application/json\r\n\r\n{", b" "),
    ],
)
def test_one_that_drips_before_it_answers_is_not_waited_for_either(server: TalkServer, first: bytes, then: bytes) -> None:
    def drip(request: Request) -> None:
        write = request.handler.wfile.write
        write(b"HTTP/1.1 200 OK\r\n" + first)
        while not request.server_gone.wait(0.05):
            write(then)

    server.answer = drip
    began_s = time.monotonic()
    assert "did not answer within 0.4 s" in refused(server, timeout_s=0.4)
    assert time.monotonic() - began_s < 10  # not as long as it drips
    assert len(server.asked) == 1


def test_a_server_that_hangs_up_is_asked_again_unless_somebody_heard_a_piece(server: TalkServer) -> None:
    def hang_up(request: Request) -> None:
        request.handler.connection.shutdown(socket.SHUT_RDWR)

    server.answer = hang_up
    assert "(after 3 attempts)" in refused(server)


def test_a_server_that_is_not_there_is_trouble_until_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    talker = OpenAiTalker("m", f"http://127.0.0.1:{port}/v1")
    with pytest.raises(ModelError, match=rf"the server http://127.0.0.1:{port} of the model m cannot be reached"):
        talker.talk(HELLO, 5.0)
    assert "cannot be reached" in talker.trouble


@pytest.mark.parametrize("when", ["before", "waiting", "streaming"])
def test_what_is_stopped_ends_within_a_second(server: TalkServer, when: str) -> None:
    def took_s() -> float:
        halt, asked = Halt(), threading.Event()
        stopped_s: list[float] = []

        def answer(request: Request) -> None:
            if when == "streaming":
                request.begin()
                request.delta(content="It")
            asked.set()
            while not request.server_gone.wait(0.05):
                if when == "streaming":
                    request.delta(content=" is")

        def stop() -> None:
            stopped_s.append(time.monotonic())
            halt.now()

        server.answer = answer
        if when == "before":
            stop()
        else:
            threading.Thread(target=lambda: asked.wait() and stop()).start()
        assert "was told to stop" in refused(server, timeout_s=60.0, halt=halt)
        return time.monotonic() - stopped_s[0]

    assert any(took_s() < 1 for _ in range(5)), "a busy machine may be late now and then, not each time"


def test_a_prompt_that_is_longer_than_the_context_is_cut_and_told(server: TalkServer) -> None:
    talker = OpenAiTalker("m", server.url, context=300)
    reply = talker.talk(Talk((Turn("system", "S" * 20), Turn("user", "x" * 1_000)), tokens_max=200), 10.0)
    assert reply.note == "the prompt is too long: 720 characters in the middle of it were left out"
    assert [len(message["content"]) for message in server.asked[0]["messages"]] == [20, 280]


def test_what_is_closed_asks_no_more(server: TalkServer) -> None:
    talker = OpenAiTalker("m", server.url)
    talker.close()
    with pytest.raises(ModelError, match="is closed"):
        talker.talk(HELLO, 5.0)


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b'{"choices": [{"delta": {}}]}', b'{"choices": []}', b"null"]), max_size=5))
def test_whatever_a_server_says_is_an_answer_or_told(events: list[bytes]) -> None:
    completion = Completion()

    def take() -> None:
        for event in events:
            completion.take_chunk(event)
        completion.reply()

    with pytest.raises(ValueError, match=r"^(it|its|one of its) "):
        take()
