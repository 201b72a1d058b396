"""An agent with rules whose clock and broker are a script, `[moment, word, arguments…]` in each line; prints what it publishes."""

import json
import sys

import upy.agent
import upy.judge
from upy.keep import FileKeep

WRAP = 1 << 30
clock = [0]
link = [True]


class Scripted:
    """A client of a broker that takes everything while it is there."""

    def __init__(self, host: str, port: int, client_id: str, **options: object) -> None:
        self.persistent, self.packet_bytes_max, self.unacked, self.oversize = True, 1024, 0, 0
        self.on_message = self.on_ready = self.on_down = None

    @property
    def up(self) -> bool:
        return link[0]

    def subscribe(self, topic_filter: str) -> None:
        pass

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, *, force: bool = False) -> bool:
        if len(payload) > 900:
            raise ValueError("too large a packet")
        if link[0] or force:
            print(json.dumps([clock[0], topic[topic.rindex("/") + 1 :], str(payload, "utf-8")]))
        return link[0]

    def step(self, wait_ms: int) -> None:
        pass


upy.agent.Client = Scripted
upy.agent.ticks_ms = lambda: clock[0]
upy.judge.ticks_ms = lambda: (clock[0] - 5_000) % WRAP  # as on a chip, and it wraps after five seconds
upy.judge.ticks_diff = lambda late, early: (late - early + WRAP // 2) % WRAP - WRAP // 2
upy.judge.now_s = lambda: 0  # its clock is not set
upy.judge._wall = lambda ago_ms: None


def log(line: str) -> None:
    print(json.dumps([clock[0], "log", line]))


def begin(folder: str, options: dict) -> "upy.agent.Agent":
    agent = upy.agent.Agent("home/board", "nowhere", keep=FileKeep(folder + "/memory"), log=log)
    agent.use(upy.judge.Judge(FileKeep(folder + "/rules"), **options))

    def act(command: object) -> None:
        if command.value == "broken":
            raise ValueError("it is broken")
        agent.emit("act", command.value)

    agent.on("do", act)
    return agent


def to(agent: "upy.agent.Agent", moment: int) -> None:
    rest = agent._judge.rest_ms(60_000)
    while clock[0] + rest <= moment and rest < 60_000:
        clock[0] += rest
        agent.step()
        rest = agent._judge.rest_ms(60_000)
    clock[0] = moment


def main(file: str, folder: str) -> None:
    agent = begin(folder, {})
    with open(file) as lines:  # noqa: PTH123 - MicroPython has no pathlib
        for line in lines:
            moment, word, *rest = json.loads(line)
            to(agent, moment)
            if word == "emit":
                agent.emit(*rest)
            elif word == "bytes":
                agent.emit(rest[0], b"\xff\xfe")
            elif word == "table":
                agent._received("em/in/home/board/_rules", rest[0].encode(), True)
            elif word == "link":
                link[0] = rest[0]
                if link[0]:
                    agent._ready()
            elif word == "reset":
                agent = begin(folder, rest[0])
            elif word == "spoil":
                with open(folder + "/" + rest[0], "wb") as spoiled:  # noqa: PTH123
                    spoiled.write(b"EM1\x00\x03xxxxjunk")
            agent.step()
    print(json.dumps([clock[0], "end", json.dumps(agent._judge.about())]))
    print(json.dumps([clock[0], "lost", str(agent._judge.lost)]))


main(*sys.argv[1:])
