"""A light host on arm64: Debian's Python and the wheels that a Raspberry Pi gets, run by qemu, against a real broker on this machine."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from broker_process import BrokerProcess, skip_without

pytestmark = pytest.mark.slow

FOLDER = Path(os.environ.get("EDGEMATRIX_ARM64", Path.home() / ".cache" / "edgematrix-arm64"))
REPOSITORY = Path(__file__).parents[2]
WAIT_S = 300
"""An emulated machine on a busy one is slow."""
MATRIX = """
matrix: home
agents:
  hall:
    triggers: {dark: {on: {lux: {topic: t/lux, below: 30, hysteresis: 5}}, do: [{publish: {topic: t/lamp, payload: "ON", qos: 1}}]}}
"""


def words(*more: str) -> list[str]:
    """The interpreter, and what it is to run."""
    interpreter = FOLDER / "root" / "usr" / "bin" / "python3.11"
    qemu = shutil.which("qemu-aarch64-static")
    if qemu is None or not interpreter.exists():
        pytest.skip("there is no arm64 Python: tests/arm/prepare.sh makes one")
    paths = f"PYTHONPATH={FOLDER / 'site'}:{REPOSITORY}"
    return [qemu, "-L", str(FOLDER / "root"), "-E", f"PYTHONHOME={FOLDER / 'root' / 'usr'}", "-E", paths, str(interpreter), *more]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    skip_without("mosquitto")
    found = BrokerProcess("mosquitto", tmp_path)
    found.start()
    yield found
    found.stop()


def test_a_rule_reacts(tmp_path: Path, broker: BrokerProcess) -> None:
    (tmp_path / "home.yaml").write_text(MATRIX)
    heard: queue.Queue[bytes] = queue.Queue()
    states: queue.Queue[str] = queue.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.message_callback_add("t/lamp", lambda _client, _data, message: heard.put(message.payload))
    client.message_callback_add("em/state/home/hall", lambda _client, _data, message: states.put(json.loads(message.payload)["status"]))
    client.connect("127.0.0.1", broker.port)
    client.subscribe([("t/lamp", 1), ("em/state/home/hall", 1)])
    client.loop_start()
    command = words("-m", "edgematrix", "run", "home.yaml", "--broker", broker.url, "--log", "json")
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        try:
            while states.get(timeout=WAIT_S) != "ready":
                pass
            for lux in (50, 20):
                client.publish("t/lux", str(lux), 1).wait_for_publish(WAIT_S)
            assert heard.get(timeout=WAIT_S) == b"ON"
        finally:
            process.terminate()
            client.disconnect()
            client.loop_stop()


def test_it_loads_no_model_runtime(tmp_path: Path) -> None:
    program = (
        "import edgematrix, platform, sys; print(platform.machine(), sorted({'numpy', 'onnxruntime', 'llama_cpp'} & set(sys.modules)))"
    )
    done = subprocess.run(words("-c", program), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == ["aarch64", "[]\n"]
