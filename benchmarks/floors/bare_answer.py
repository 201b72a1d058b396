"""paho that answers requests, as its documentation shows it: `bench/ask` in, `bench/answer` out."""

from __future__ import annotations

import sys
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion


def on_connect(client: mqtt.Client, *_details: object) -> None:
    client.subscribe("bench/ask")


def on_message(client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
    client.publish("bench/answer", message.payload)


if __name__ == "__main__":
    bare = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bare-answer")
    bare.on_connect = on_connect
    bare.on_message = on_message
    bare.connect("127.0.0.1", int(sys.argv[1]))
    bare.loop_forever()
