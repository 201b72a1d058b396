"""A board that comes in by TLS, and echoes."""

import sys

from upy.agent import Agent


def main(port: str, name: str, ca: str, cert: str = "", key: str = "") -> None:
    tls = {"ca": ca, "name": name}
    if cert:
        tls.update({"cert": cert, "key": key})
    times = {"keepalive_s": 2, "timeout_ms": 2_000, "retry_ms": 50, "retry_ms_max": 100}
    agent = Agent("home/board", "127.0.0.1", int(port), tls=tls, unacked_max=128, **times)
    agent.on("set", lambda command: agent.emit("echo", command.value, qos=1))
    agent.run()


main(*sys.argv[1:])
