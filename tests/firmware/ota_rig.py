"""A board without a network, for MicroPython and CPython: an agent that keeps what it is told, and a desk that answers at once."""

# ruff: noqa: ANN204, N818 - MicroPython has no typing; a restart is no error

import json

from upy.slots import Slots
from upy.update import Updater

PATH = "home/board"


class Restarted(Exception):
    """The board begins anew."""


def restarted():
    raise Restarted


class Agent:
    """What an updater needs of one."""

    def __init__(self, payload_bytes_max=1000):
        self.path = PATH
        self.online = True
        self.settled = True
        self.payload_bytes_max = payload_bytes_max
        self.told = []
        self.parts = {}
        self.ready = []
        self.timers = []

    def take(self, name, handler):
        self.parts[name] = handler

    def tell(self, kind, name, payload, qos=0, retain=False):
        self.told.append((kind, name, payload))
        return True

    def when_ready(self, function):
        self.ready.append(function)

    def every(self, _period_ms, function):
        self.timers.append(function)

    def never(self, function):
        self.timers = [timer for timer in self.timers if timer is not function]

    def close(self):
        self.online = False

    def tick(self):
        for timer in list(self.timers):
            timer()

    def wishes(self):
        """What was asked for since the last time."""
        told, self.told = self.told, [entry for entry in self.told if entry[0] != "out"]
        return [json.loads(payload) for kind, _, payload in told if kind == "out"]

    def said(self, name="_firmware"):
        """What was said last."""
        return json.loads([payload for kind, what, payload in self.told if kind == "state" and what == name][-1])


class Desk:
    """Serves one image. `head` is its manifest, as in a file."""

    def __init__(self, offer, body, chunk):
        self.offer, self._body, self._chunk = offer, body, chunk
        self.chunks = 0

    def answers(self, wish):
        """The messages that answer a request."""
        digest = bytes([int(wish["id"][at : at + 2], 16) for at in range(0, 16, 2)])
        for number in range(wish["count"]):
            at = wish["at"] + number * self._chunk
            if at < len(self._body):
                self.chunks += 1
                yield digest + at.to_bytes(4, "big") + self._body[at : at + self._chunk]


def one_life(files, desk, dead, content=True, rounds_max=2000):
    """From a start of the board to the next, or until nothing is left to do. Returns what runs, "" if the power went."""
    slots = Slots(files)
    name = slots.start()
    if dead():
        return ""
    agent = Agent()
    updater = Updater(agent, files=files, ok=lambda: content, trial_s=0 if not content else 120, restart=restarted)
    try:
        for function in agent.ready:
            function()
        agent.parts["_update"](desk.offer, True)
        for _ in range(rounds_max):
            if dead():
                return ""
            for wish in agent.wishes():
                for message in desk.answers(wish):
                    agent.parts["_chunk"](message, False)
            agent.tick()
            if not updater.busy:
                break
    except Restarted:
        return "" if dead() else "again"
    return "" if dead() else name
