"""paho that hands on what it hears, as its documentation shows it: port, QoS, what it hears, what it says."""

from __future__ import annotations

import sys
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

if __name__ == "__main__":
    port, qos, heard, said = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]

    def on_connect(client: mqtt.Client, *_details: object) -> None:
        client.subscribe(heard, qos)

    def on_message(client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        client.publish(said, message.payload, qos)

    bare = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"bare-{said.replace('/', '-')}")
    bare.on_connect = on_connect
    bare.on_message = on_message
    bare.connect("127.0.0.1", port)
    bare.loop_forever()
