"""A server on this machine that speaks as OpenAI's, as well or as badly as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Handler = Callable[["Request"], None]


class Request:
    """One request, and ways to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: dict[str, Any], gone: threading.Event) -> None:
        self.handler = handler
        self.body = body
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.server_gone = gone

    def status(self, status: int, body: object = None, kind: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", kind)
        self.handler.send_header("Content-Length", str(len(data)))
        self.handler.end_headers()
        self.handler.wfile.write(data)

    def begin(self) -> None:
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", "text/event-stream")
        self.handler.end_headers()

    def data(self, data: object) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        self.handler.wfile.write(f"data: {text}\n\n".encode())
        self.handler.wfile.flush()

    def delta(self, finish: str | None = None, **delta: Any) -> None:
        self.data({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def text(self, text: str, finish: str = "stop") -> None:
        """A whole streamed answer."""
        self.begin()
        for word in text.split(" "):
            self.delta(content=f"{word} " if word != text.rsplit(" ", maxsplit=1)[-1] else word)
        self.delta(finish)
        self.data({"choices": [], "usage": {"completion_tokens": 7}})
        self.data("[DONE]")


class TalkServer:
    """What is asked, and who answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Handler = lambda request: request.text("Hello there.")
        self.gone = threading.Event()
        """Set when the test is over: whoever hangs may go."""


@contextmanager
def talk_server(port: int = 0) -> Iterator[TalkServer]:
    """A server on a port of the loopback: by default on one that nobody has."""
    made: TalkServer

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.asked.append({"path": self.path, **body})
            request = Request(self, body, made.gone)
            made.headers.append(request.headers)
            try:
                made.answer(request)
            except OSError:
                self.close_connection = True

        def log_message(self, *words: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", port), Answering)
    server.daemon_threads = True
    made = TalkServer(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        made.gone.set()
        server.shutdown()
        server.server_close()
        thread.join()
