"""An agent on a board: readings go out, commands come in, and everybody can see whether it is there.

    agent = Agent("home/greenhouse/board", "192.168.1.10")
    agent.on("set", set_fan)                     # em/in/home/greenhouse/board/set
    agent.every(10_000, lambda: agent.emit("temperature", read_sensor()))
    agent.run()

It speaks the topics of docs/spec/topics.md: `em/out/{path}/{port}` with bare payloads, `em/in/{path}/{port}` with bare
payloads or events, `em/ack/{path}` with the id of each event that it has carried out, or on durable edges with how far it has
come, and `em/state/{path}`, retained, which is also its will.
"""

import os
import time

from .client import Client
from .command import Command, parse
from .ticks import now_s, ticks_add, ticks_diff, ticks_ms
from .value import decode, encode

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable

    from .durable import Durable
    from .judge import Judge
    from .keep import FileKeep, RtcKeep

    Keep = FileKeep | RtcKeep

__all__ = ["Agent"]

_NAME_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789_-"
_NAME_LENGTH_MAX = 64
_SEGMENTS_MAX = 16
_RESERVED = ("parent", "self")
_STEP_MS_MAX = 60_000
_PERIOD_MS_MAX = 86_400_000


class Agent:
    """One agent with a connection of its own.

    `path` is its place in the tree, `revision` the number of its program. Options that are not named here go to
    `client.Client`. `ports_max` bounds ports and timers, `ids_max` how many commands are remembered so that a
    repeated one is not carried out again. While the board's clock is not set the broker keeps no session for it: it
    could not tell an old command from a new one.

    `keep` (`keep.FileKeep`, `keep.RtcKeep`) holds what outlives a reset: how far durable edges have come, so that no command
    is carried out once more, and `memory`, a dict of what the program wants to find again, as JSON has it.
    """

    def __init__(
        self,
        path: str,
        host: str,
        port: int = 1883,
        *,
        root: str = "em",
        client_id: str | None = None,
        revision: int = 0,
        persistent: bool = True,
        ports_max: int = 16,
        ids_max: int = 16,
        keep: "Keep | None" = None,
        log: "Callable[[str], object]" = print,
        **options: object,
    ) -> None:
        self._counts = {"received": 0, "done": 0, "repeated": 0, "expired": 0, "malformed": 0, "failed": 0, "unsent": 0}
        self._path = _check_path(path)
        self._root = root
        self._revision = revision
        self._ports_max = ports_max
        self._ids_max = ids_max
        self._log = log
        self._handlers: "dict[str, Callable[[Command], object]]" = {}
        self._kept: dict[str, bytes] = {}
        self._outputs: list[str] = []
        self._ids: list[str] = []
        self._durable: "Durable | None" = None
        self._keep = keep
        self.memory: dict[str, object] = {}
        if keep is not None:
            self._remember(keep)
        self._parts: "dict[str, Callable[[bytes, bool], object]]" = {}
        self._ready_parts: "list[Callable[[], object]]" = []
        self._judge: "Judge | None" = None
        self._timers: list[list] = []  # type: ignore[type-arg]  # [when due, period, function]
        self._running = False
        self._status = "ready"
        self._name = path.replace("/", ":")
        self._session = "".join(["%02x" % byte for byte in os.urandom(8)])
        self._state_topic = "%s/state/%s" % (root, path)
        self._in_prefix = "%s/in/%s/" % (root, path)
        will = (self._state_topic, self._state("offline", known=False))
        self._client = self._new_client(host, port, client_id or self._name, will=will, persistent=persistent and now_s() > 0, **options)
        self._client.on_message = self._received
        self._client.on_ready = self._ready
        self._client.on_down = self._down

    def _new_client(self, *arguments: object, **options: object) -> Client:
        return Client(*arguments, **options)  # type: ignore[arg-type]

    @property
    def path(self) -> str:
        """Its place in the tree."""
        return self._path

    @property
    def online(self) -> bool:
        """Whether the broker has taken us in."""
        return self._client.up

    @property
    def counts(self) -> dict[str, int]:
        """What became of commands (`failed` counts timers too), what did not fit, and how many readings were lost."""
        return dict(self._counts, oversize=self._client.oversize)

    def on(self, port: str, handler: "Callable[[Command], object]") -> None:
        """Call `handler(command)` for each command on the input port. Call it before the first `step`.

        A handler that raises has refused the command: its id is acknowledged with the reason. It must not call `step`.

        Raises:
            ValueError: the name breaks the grammar or is taken, or there are `ports_max` ports already.
        """
        self._claim(port)
        self._listen()
        self._handlers[port] = handler

    def take(self, name: str, handler: "Callable[[bytes, bool], object]") -> None:
        """Give what comes on `em/in/{path}/{name}` to a part of the firmware as it is: `handler(payload, retained)`.

        Such a name begins with `_`, so that no port has it. Call it before the first `step`.
        """
        self._listen()
        self._parts[name] = handler

    def tell(self, kind: str, name: str, payload: bytes, qos: int = 0, retain: bool = False) -> bool:
        """Publish on `em/{kind}/{path}/{name}` for a part of the firmware; False if it is lost.

        Raises:
            ValueError: the packet is too large.
        """
        return self._client.publish(self._topic(kind, name), payload, qos, retain)

    def when_ready(self, function: "Callable[[], object]") -> None:
        """Call a function at each connection, after the birth."""
        self._ready_parts.append(function)

    def use(self, judge: "Judge") -> None:
        """Let the board judge trigger groups itself. Call it once, before the first `step`."""
        self._judge = judge
        judge.bind(self, self._session, self._publish_state, self._log)

    def act(self, port: str, value: object) -> bool:
        """Do what a command on an input port asks for, as a rule of the board does; False if it is refused."""
        handler = self._handlers.get(port)
        return handler is not None and self._carry_out(handler, Command(port, value))

    @property
    def settled(self) -> bool:
        """Whether the broker has taken us in, and has acknowledged all that it got."""
        return self._client.up and not self._client.unacked

    @property
    def payload_bytes_max(self) -> int:
        """The longest payload that fits into a packet on a topic of ours with a name of seven characters."""
        return self._client.packet_bytes_max - len(self._in_prefix) - 16

    def _listen(self) -> None:
        if not self._handlers and not self._parts:
            self._client.subscribe(self._in_prefix + "+")

    def emit(self, port: str, value: object, *, qos: int = 0, retain: bool = False) -> bool:
        """Publish a value on an output port; False if it is lost because nobody takes it.

        A retained value is never lost: the last one of each port goes out at every connection.

        Raises:
            ValueError: the name breaks the grammar, the value has no JSON form, or the packet is too large.
        """
        if port not in self._outputs:
            self._claim(port)
            self._outputs.append(port)
        payload = encode(value)
        if retain:
            self._kept[port] = payload
        if self._judge is not None:
            wanted = self._judge.hears(port, value, payload)
            if not wanted and not retain:
                return True  # it is judged here, and nobody else wants it
            qos = 1 if wanted > 1 else qos
        sent = self._put_out(port, payload, qos, retain)
        if not sent and not retain:
            self._unsent(port)
        return sent or retain

    def _put_out(self, port: str, payload: bytes, qos: int, retain: bool) -> bool:
        return self._client.publish(self._topic("out", port), payload, qos, retain)

    def _unsent(self, port: str) -> None:
        self._counts["unsent"] += 1
        if self._judge is not None:
            self._judge.unsent(port)

    def every(self, period_ms: int, function: "Callable[[], object]") -> None:
        """Call a function on a grid of `period_ms` from now on, also while there is no connection; missed calls are not made up.

        Raises:
            ValueError: the period is not from 1 ms to a day, or there are `ports_max` timers already.
        """
        if not 1 <= period_ms <= _PERIOD_MS_MAX or len(self._timers) >= self._ports_max:
            raise ValueError("a period is 1 ms to a day, and there are at most %d timers" % self._ports_max)
        self._timers.append([ticks_add(ticks_ms(), period_ms), period_ms, function])

    def never(self, function: "Callable[[], object]") -> None:
        """Call a function no more: the very object that `every` was given."""
        self._timers = [timer for timer in self._timers if timer[2] is not function]

    def step(self, wait_ms: int = 0) -> None:
        """Do what is due, and wait at most `wait_ms` for something to do."""
        self._client.step(max(0, min(wait_ms, self._next_timer_ms())))
        if self._durable is not None:
            self._durable.commit()
        now = ticks_ms()
        for timer in self._timers:
            late_ms = ticks_diff(now, timer[0])
            if late_ms >= 0:
                timer[0] = ticks_add(timer[0], (late_ms // timer[1] + 1) * timer[1])
                self._call(timer[2])
        if self._judge is not None:
            self._judge.step()

    def _call(self, function: "Callable[[], object]") -> None:
        try:
            function()
        except Exception as error:
            self._counts["failed"] += 1
            self._log("a timer or a part failed: %s: %s" % (type(error).__name__, error))

    def run(self) -> None:
        """Work until `stop` or Ctrl-C, then leave cleanly."""
        self._running = True
        try:
            while self._running:
                self.step(_STEP_MS_MAX)
        except KeyboardInterrupt:
            self._log("interrupted")
        finally:
            self.close()

    def stop(self) -> None:
        """End `run`; to be called from a handler or a timer."""
        self._running = False

    def close(self, wait_ms: int = 2_000) -> None:
        """Say `offline`, wait up to `wait_ms` until the broker has everything, and disconnect."""
        self._status = "offline"
        until = ticks_add(ticks_ms(), wait_ms)
        if self._client.up:
            self._publish_state()
        while self._settling(until):
            self._client.step(ticks_diff(until, ticks_ms()))
        self._client.close()

    def _settling(self, until: int) -> bool:
        return self._client.up and self._client.unacked > 0 and ticks_diff(until, ticks_ms()) > 0

    def store(self) -> None:
        """Keep `memory` from now on; durable commands do so by themselves.

        Raises:
            OSError: there is no room.
            ValueError: there is something in it that JSON does not have.
        """
        if self._judge is not None:
            self.memory["_rules"] = self._judge.dump()
        if self._keep is not None:
            edges = [] if self._durable is None else self._durable.cursors.save()
            self._keep.store(encode({"edges": edges, "ids": self._ids, "memory": self.memory}))

    def _remember(self, keep: "Keep") -> None:
        data = keep.load()
        try:
            kept: "dict[str, object]" = decode(data) if data else {}  # type: ignore[assignment]
            if kept.get("edges"):
                self._edges().cursors.load(kept["edges"])  # type: ignore[arg-type]
            self._ids = [str(known) for known in kept.get("ids", [])]  # type: ignore[attr-defined]
            self.memory = dict(kept.get("memory", {}))  # type: ignore[call-overload]
        except Exception as error:
            self._log("what was kept is damaged, and forgotten: %s" % error)

    def _edges(self) -> "Durable":
        """How far durable edges have come; a board that has none loads nothing of it."""
        if self._durable is None:
            from .durable import Durable  # noqa: PLC0415

            self._durable = Durable(self._path, self._ids_max, self.store, self._answer, self._log)
        return self._durable

    def _ready(self) -> None:
        self._log("connected as %s" % self._name)
        self._publish_state()
        if self._durable is not None:
            self._durable.tell()
        for port, payload in self._kept.items():
            self._client.publish(self._topic("out", port), payload, 0, retain=True)
        for part in self._ready_parts:
            part()

    def _publish_state(self) -> None:
        self._client.publish(self._state_topic, self._state(self._status), 1, retain=True, force=True)

    def _down(self, reason: str) -> None:
        self._log("not connected: %s" % reason)

    def _received(self, topic: str, payload: bytes, retained: bool) -> None:
        port = topic[len(self._in_prefix) :]
        if port in self._parts and topic.startswith(self._in_prefix):
            self._call(lambda: self._parts[port](payload, retained))
            return
        handler = self._handlers.get(port) if topic.startswith(self._in_prefix) else None
        self._counts["received"] += 1
        if handler is None or retained:
            self._refuse("malformed", "a retained command on %s" % port if retained else "there is no port %s" % port)
            return
        try:
            command = parse(port, payload)
        except Exception as error:
            self._refuse("malformed", str(error))
            return
        if command.sequence and not self._edges().is_next(command):
            self._counts["repeated"] += 1
        elif command.id and command.id in self._ids:
            self._counts["repeated"] += 1
            self._acknowledge(command.id)
        elif command.expires_s and now_s() >= command.expires_s:
            self._refuse("expired", "it has expired", command.id)
        else:
            self._carry_out(handler, command)

    def _carry_out(self, handler: "Callable[[Command], object]", command: Command) -> bool:
        try:
            handler(command)
        except Exception as error:
            self._refuse("failed", "%s: %s" % (type(error).__name__, error), command.id)
            return False
        self._counts["done"] += 1
        if command.id and not command.sequence:
            self._ids.append(command.id)
            if len(self._ids) > self._ids_max:
                del self._ids[0]
            self._acknowledge(command.id)
        return True

    def _acknowledge(self, command_id: str, error: str = "") -> None:
        self._answer({"id": command_id, "error": error[:80]} if error else {"id": command_id})

    def _answer(self, answer: "dict[str, object]") -> None:
        if not self._client.publish("%s/ack/%s" % (self._root, self._path), encode(answer)):
            self._counts["unsent"] += 1

    def _refuse(self, count: str, reason: str, command_id: str = "") -> None:
        self._counts[count] += 1
        self._log("command refused: %s" % reason)
        if command_id:
            self._acknowledge(command_id, reason)

    def _state(self, status: str, *, known: bool = True) -> bytes:
        """A lifecycle message. Nobody knows beforehand when a will is published."""
        return self._state_with(status, known, {})

    def _state_with(self, status: str, known: bool, more: dict[str, object]) -> bytes:
        moment = time.gmtime() if known and now_s() else None
        since = "%04d-%02d-%02dT%02d:%02d:%02dZ" % tuple(moment[:6]) if moment else None
        state = {"v": 1, "status": status, "host": self._name, "session": self._session, "since": since, "revision": self._revision}
        state.update(more)
        if known:
            state["rules"] = None if self._judge is None else self._judge.about()
        return encode(state)

    def _topic(self, kind: str, port: str) -> str:
        return "%s/%s/%s/%s" % (self._root, kind, self._path, port)

    def _claim(self, port: str) -> None:
        _check_name(port)
        if port in self._handlers or port in self._outputs:
            raise ValueError("the port %s is taken" % port)
        if len(self._handlers) + len(self._outputs) >= self._ports_max:
            raise ValueError("there are %d ports already" % self._ports_max)

    def _next_timer_ms(self) -> int:
        now = ticks_ms()
        rest_ms = _STEP_MS_MAX
        for timer in self._timers:
            rest_ms = min(rest_ms, ticks_diff(timer[0], now))
        return rest_ms if self._judge is None else self._judge.rest_ms(rest_ms)


def _check_name(name: str) -> None:
    good = 0 < len(name) <= _NAME_LENGTH_MAX and name[0] not in "_-" and name not in _RESERVED
    if not good or any(char not in _NAME_CHARS for char in name):
        raise ValueError("the name %s does not match [a-z0-9][a-z0-9_-]*" % name[:_NAME_LENGTH_MAX])


def _check_path(path: str) -> str:
    segments = path.split("/")
    if len(segments) > _SEGMENTS_MAX:
        raise ValueError("a path of over %d segments" % _SEGMENTS_MAX)
    for segment in segments:
        _check_name(segment)
    return path
