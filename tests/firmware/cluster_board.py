"""A board that knows several brokers, by what it was provisioned with, and echoes."""

import sys

from upy.agent import Agent
from upy.device import load

times = {"keepalive_s": 2, "timeout_ms": 5_000, "retry_ms": 50, "retry_ms_max": 200}
agent = Agent(**load(sys.argv[1]), **times)
agent.on("set", lambda command: agent.emit("echo", command.value, qos=1))
agent.run()
