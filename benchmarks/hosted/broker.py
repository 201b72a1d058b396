"""A mosquitto that can be killed, and comes back on its port."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from benchmarks.hosted.program import Program
from edgematrix.runtime.broker_program import choose

__all__ = ["Broker"]

# The bounds are those of brokers/mosquitto.conf. It keeps nothing over a kill: who needs that, keeps it.
_CONFIGURATION = """
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
max_inflight_messages 1000
max_queued_messages 100000
log_type error
"""
_START_S = 5.0


class Broker(Program):
    """A mosquitto on a port of its own.

    Args:
        place: the folder of its configuration and its log.
    """

    def __init__(self, place: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        configuration = place / "broker.conf"
        configuration.write_text(_CONFIGURATION.format(port=self.port))
        super().__init__("broker", [choose("mosquitto")[1], "-c", str(configuration)], place)

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            OSError: it does not.
        """
        super().start()
        give_up_at_s = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return  # noqa: TRY300 - the loop's only good end
            except OSError:
                if time.monotonic() > give_up_at_s:
                    raise
                time.sleep(0.002)
