"""Looks for values in all that a host says, stores and publishes, in the ways in which they are commonly written."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import paho.mqtt.client as mqtt
from cli_process import WAIT_S


def forms(value: str) -> dict[str, bytes]:
    """What is looked for: of base64 what is the same wherever the value begins within three bytes."""
    data = value.encode()
    found = {
        "plain": data,
        "JSON": json.dumps(value)[1:-1].encode(),
        "JSON in UTF-8": json.dumps(value, ensure_ascii=False)[1:-1].encode(),
        "JSON in JSON": json.dumps(json.dumps(value)[1:-1])[1:-1].encode(),
        "repr": repr(value)[1:-1].encode(),
        "URL": quote(value, safe="").encode(),
        "path": quote(value).encode(),
        "form": quote_plus(value).encode(),
        "UTF-16": value.encode("utf-16-le"),
    }
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + data)
        found[f"base64 {shift}"] = coded[shift and shift + 1 : len(coded) - 4]
    return found


def leaks(value: str, places: Mapping[str, bytes]) -> list[str]:
    """Where the value stands, and how it is written there."""
    return [f"{place}: {form}" for place, data in places.items() for form, text in forms(value).items() if text in data]


def files_below(folder: Path, besides: frozenset[str]) -> dict[str, bytes]:
    """What all files hold: as they are, and what is in their tables, unpacked."""
    found: dict[str, bytes] = {}
    for file in sorted(folder.rglob("*")):
        place = file.relative_to(folder)
        if not file.is_file() or place.parts[0] in besides:
            continue
        data = file.read_bytes()
        found[str(place)] = data
        if data.startswith(b"SQLite format 3"):
            found[f"{place}, its rows"] = b"\n".join(_rows(file))
        elif b"base64" in data or file.suffix == ".json":
            found[f"{place}, decoded"] = b"\n".join(_decoded(data))
    return found


def _rows(file: Path) -> Iterator[bytes]:
    with sqlite3.connect(file) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for row in database.execute(f"select * from {table}"):  # noqa: S608
                for cell in row:
                    data = cell if isinstance(cell, bytes) else str(cell).encode()
                    yield data
                    yield from _unpacked(data)
    database.close()


def _unpacked(data: bytes) -> Iterator[bytes]:
    """Whatever in it is packed by zlib."""
    start = data.find(b"\x78")
    while start >= 0:
        try:
            yield zlib.decompressobj().decompress(data[start:])
        except zlib.error:
            pass
        start = data.find(b"\x78", start + 1)


def _decoded(data: bytes) -> Iterator[bytes]:
    """The texts of a JSON file that are base64."""
    waiting: list[object] = [json.loads(data)]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, str):
            try:
                yield base64.b64decode(part, validate=True)
            except ValueError:
                continue


class Listener:
    """A client that hears all that the broker carries, and keeps topics and payloads."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._more = threading.Condition()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(user, password)
        self.client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self.client.on_message = self._message
        ready = threading.Event()
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(WAIT_S)

    def _message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        del client, userdata
        with self._more:
            self.heard.append((message.topic, message.payload))
            self._more.notify_all()

    def say(self, topic: str, payload: object) -> None:
        self.client.publish(topic, json.dumps(payload), 1).wait_for_publish(WAIT_S)

    def wait_for(self, topic: str, count: int = 1) -> list[bytes]:
        with self._more:
            assert self._more.wait_for(lambda: len(self.of(topic)) >= count, WAIT_S), [seen for seen, _ in self.heard][-30:]
        return self.of(topic)

    def of(self, topic: str) -> list[bytes]:
        return [payload for seen, payload in self.heard if seen == topic]

    def besides(self, *topics: str) -> bytes:
        """All that was heard, but for these topics."""
        return b"\n".join(topic.encode() + b" " + payload for topic, payload in list(self.heard) if topic not in topics)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
