"""The stored form of a group's state: MessagePack, in small parts, each with its version and a CRC-32 of the rest.

The part of what all keys share (of everything, where there are none) is the empty text; the others go by key. Sources
go by name, so a definition that has changed takes over what it still has.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from edgematrix.errors import StateError
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import NO_TRAIL, Message
from edgematrix.triggers.aggregate import window_of
from edgematrix.triggers.cell import NO_CAPTURES, Cell, Token
from edgematrix.triggers.firing import Firing, Reading
from edgematrix.triggers.outlet import Outlet
from edgematrix.triggers.plan import NEED_SEQUENCE, Plan
from edgematrix.triggers.source import ALL, COUNT
from edgematrix.triggers.state import GroupState, Instance, Keys

__all__ = ["VERSION", "copy_parts", "read_parts", "write_parts"]

VERSION = 1
_EMPTY_KEY = "\0"
"""Stands for the key that is the empty text; no topic level holds NUL."""
_BIG_WHOLE = 1
"""The extension type of whole numbers beyond 64 bits, as hexadecimal text."""


class _Token(msgspec.Struct, array_like=True):
    value: Any
    payload: Any
    whole: bool
    topic: str
    at_us: int
    time_us: int | None = None
    trail: Trail | None = None
    source: str = ""
    captures: dict[str, str] = {}


class _Cell(msgspec.Struct, array_like=True):
    source: str
    kind: int
    newest: _Token | None
    side: bool | None
    due_us: int | None
    lapse_us: int | None
    prev: Any
    memory: Any
    samples: list[tuple[int, Any]]
    taint: str = ""
    taint_us: int = 0


class _Firing(msgspec.Struct, array_like=True):
    sources: dict[str, Reading | None]
    captures: dict[str, str]
    missing: tuple[str, ...]
    fired_at_us: int
    trail: Trail
    done: tuple[int, ...] = ()


class _Outlet(msgspec.Struct, array_like=True):
    passed_us: int | None
    passes: list[int]
    throttled_us: int | None
    throttled: _Firing | None
    debounced: _Firing | None
    debounce_due_us: int
    running: list[int]
    queue: list[_Firing]


class _Instance(msgspec.Struct, array_like=True):
    ordinal: int
    used: int
    latest_us: int
    ready: list[str]
    steps: list[str]
    tokens: dict[str, list[_Token]]
    cells: list[_Cell]
    outlet: _Outlet | None


class _Main(msgspec.Struct, array_like=True):
    start_us: int
    shift_us: int
    skew_us: int
    runs: int
    instance: _Instance


def _big(code: int, data: memoryview) -> object:
    if code != _BIG_WHOLE:
        raise ValueError(f"unknown extension type {code}")
    return int(bytes(data), 16)


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(tuple[int, int, msgspec.Raw]).decode
_decode_main = msgspec.msgpack.Decoder(_Main, ext_hook=_big).decode
_decode_instance = msgspec.msgpack.Decoder(_Instance, ext_hook=_big).decode


def write_parts(plan: Plan, state: GroupState) -> dict[str, bytes | None]:
    """What has changed since the last call.

    Raises:
        StateError: a value has no stored form; nothing is taken as written.
    """
    parts: dict[str, bytes | None] = {}
    keys = state.keys
    if keys is not None:
        for key in keys.gone:
            parts[key or _EMPTY_KEY] = None
        for key in keys.changed:
            parts[key or _EMPTY_KEY] = _written(_instance(plan, keys.instances[key], state.latest_us))
            keys.instances[key].stored = True
    if state.changed:
        main = _Main(state.start_us, state.shift_us, state.skew_us, state.runs, _instance(plan, state.main, state.latest_us))
        parts[""] = _written(main)
    state.changed = False
    if keys is not None:
        keys.gone.clear()
        keys.changed.clear()
    return parts


def copy_parts(plan: Plan, state: GroupState, bytes_max: int) -> dict[str, bytes] | None:
    """All parts of a state, which are not taken as written; None where they are larger than `bytes_max` together.

    Raises:
        StateError: a value has no stored form.
    """
    main = _Main(state.start_us, state.shift_us, state.skew_us, state.runs, _instance(plan, state.main, state.latest_us))
    parts = {"": _written(main)}
    size_bytes = len(parts[""])
    for key, instance in {} if state.keys is None else state.keys.instances.items():
        data = parts[key or _EMPTY_KEY] = _written(_instance(plan, instance, state.latest_us))
        size_bytes += len(key) + len(data)
        if size_bytes > bytes_max:
            break
    return None if size_bytes > bytes_max else parts


def read_parts(plan: Plan, parts: Mapping[str, bytes]) -> GroupState:
    """The state of these parts.

    Raises:
        StateError: a part is damaged, of an unknown version, or the shared one is missing.
    """
    if "" not in parts:
        raise StateError(f"the stored state of group {plan.name!r} lacks its shared part")
    stored = _read(plan, "", parts[""], _decode_main)
    main = _restored(plan, None, stored.instance)
    state = GroupState(main, Keys() if plan.keyed else None, stored.start_us)
    state.shift_us, state.skew_us, state.runs = stored.shift_us, stored.skew_us, stored.runs
    state.latest_us = max(stored.start_us, stored.instance.latest_us)
    state.changed = False
    if state.keys is not None:
        _restore_keys(plan, state, state.keys, {key: data for key, data in parts.items() if key})
    return state


def _restore_keys(plan: Plan, state: GroupState, keys: Keys, parts: Mapping[str, bytes]) -> None:
    stored = [("" if key == _EMPTY_KEY else key, _read(plan, key, data, _decode_instance)) for key, data in parts.items()]
    stored.sort(key=lambda item: item[1].used)
    for key, part in stored:
        instance = keys.instances[key] = _restored(plan, key, part)
        instance.stored = True
        state.latest_us = max(state.latest_us, part.latest_us)
        keys.born = max(keys.born, instance.ordinal + 1)
        keys.uses = max(keys.uses, instance.used)
        for run in () if instance.outlet is None else instance.outlet.running:
            keys.owners[run] = instance


def _read(plan: Plan, key: str, data: bytes, decode: Any) -> Any:
    where = f"group {plan.name!r}" + (f", key {key!r}" if key else "")
    try:
        version, checksum, body = _decode_head(data)
        if version != VERSION:
            what = f"the stored state is of version {version}, known is {VERSION}"
            raise StateError(what, where=where, remedy="a newer release may have written it")
        if zlib.crc32(body) != checksum:
            raise StateError("the stored state is damaged: its checksum does not fit", where=where)
        return decode(body)
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise StateError(f"the stored state is damaged: {error}", where=where) from None


def _written(part: object) -> bytes:
    try:
        try:
            body = _encode(part)
        except OverflowError:
            body = _encode(_portable(msgspec.to_builtins(part, builtin_types=(bytes,))))
    except (TypeError, ValueError, RecursionError) as error:
        raise StateError(f"a value has no stored form: {error}") from None
    return _encode((VERSION, zlib.crc32(body), msgspec.Raw(body)))


def _portable(value: Any) -> Any:
    """Whole numbers beyond 64 bits as an extension."""
    if type(value) is int and not -(2**63) <= value < 2**64:
        return msgspec.msgpack.Ext(_BIG_WHOLE, f"{value:x}".encode())
    if isinstance(value, Mapping):
        return {name: _portable(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_portable(part) for part in value]
    return value


def _instance(plan: Plan, instance: Instance, latest_us: int) -> _Instance:
    sources = plan.sources
    return _Instance(
        instance.ordinal,
        instance.used,
        latest_us,
        [source.name for source in sources if source.level_like and source.bit & instance.mask],
        [source.name for source in plan.regular[: instance.done]],
        {source.name: [_token(token) for token in tokens] for source, tokens in zip(sources, instance.tokens, strict=True) if tokens},
        [_cell(source.name, source.kind, cell) for source, cell in zip(sources, instance.cells, strict=True) if cell is not None],
        None if instance.outlet is None else _outlet(instance.outlet),
    )


def _token(token: Token) -> _Token:
    message = token.message
    whole = token.value is message.value
    trail = None if message.trail is NO_TRAIL else message.trail
    value = None if whole else token.value
    return _Token(value, message.value, whole, message.topic, token.at_us, message.time_us, trail, message.source, token.captures)


def _cell(name: str, kind: int, cell: Cell) -> _Cell:
    newest = None if cell.message is None else _token(cell.newest(cell.at_us))
    memory = list(cell.memory) if isinstance(cell.memory, deque) else cell.memory
    samples = [] if cell.window is None else list(cell.window.samples)
    return _Cell(name, kind, newest, cell.side, cell.due_us, cell.lapse_us, cell.prev, memory, samples, cell.taint, cell.taint_us)


def _outlet(outlet: Outlet) -> _Outlet:
    return _Outlet(
        outlet.passed_us,
        list(outlet.passes or ()),
        outlet.throttled_us,
        None if outlet.throttled is None else _firing(outlet.throttled),
        None if outlet.debounced is None else _firing(outlet.debounced),
        outlet.debounce_due_us,
        list(outlet.running),
        [_firing(firing) for firing in outlet.queue or ()],
    )


def _firing(firing: Firing) -> _Firing:
    return _Firing(dict(firing.sources), dict(firing.captures), firing.missing, firing.fired_at_us, firing.trail, firing.done)


def _restored(plan: Plan, key: str | None, part: _Instance) -> Instance:
    instance = Instance(key, len(plan.sources), part.ordinal)
    instance.used = part.used
    cells = {cell.source: cell for cell in part.cells}
    ready = frozenset(part.ready)
    for source in plan.sources:
        cell = cells.get(source.name)
        if cell is not None and cell.kind == source.kind and (key is None) == (source.shared or not plan.keyed):
            instance.cells[source.index] = _restored_cell(cell, source.kind, source.aggregate)
            if source.level_like and source.name in ready:
                instance.mask |= source.bit
    for source in plan.holders:
        tokens = part.tokens.get(source.name)
        if tokens:
            instance.tokens[source.index] = _restored_tokens(tokens if source.keep == ALL else tokens[-1:])
            instance.mask |= source.bit
    _restore_steps(plan, instance, part)
    instance.outlet = None if part.outlet is None else _restored_outlet(plan, key, part.outlet)
    return instance


def _restore_steps(plan: Plan, instance: Instance, part: _Instance) -> None:
    """The steps done, if the sequence still begins with them."""
    names = [source.name for source in plan.regular[: len(part.steps)]]
    if plan.need != NEED_SEQUENCE or names != part.steps or not all(part.tokens.get(name) for name in names):
        return
    for source in plan.regular[: len(names)]:
        instance.tokens[source.index] = _restored_tokens(part.tokens[source.name])
    instance.done = len(names)


def _restored_tokens(parts: Iterable[_Token]) -> list[Token]:
    return [_restored_token(part) for part in parts]


def _restored_token(part: _Token) -> Token:
    message = Message(part.topic, part.payload, time_us=part.time_us, trail=part.trail or NO_TRAIL, source=part.source)
    return Token(part.payload if part.whole else part.value, message, part.captures or NO_CAPTURES, part.at_us)


def _restored_cell(part: _Cell, kind: int, aggregate: Any) -> Cell:
    cell = Cell()
    if part.newest is not None:
        cell.value, cell.message, cell.captures, cell.at_us = _restored_token(part.newest)
    cell.side = part.side
    cell.due_us = part.due_us
    cell.lapse_us = part.lapse_us
    cell.prev = part.prev
    cell.taint, cell.taint_us = part.taint, part.taint_us
    cell.memory = deque(part.memory) if kind == COUNT and isinstance(part.memory, list) else part.memory
    if aggregate is not None and part.samples:
        any_value = aggregate.fn in ("count", "last")
        cell.window = window_of(aggregate, [one for one in part.samples if any_value or type(one[1]) in (int, float)])
    return cell


def _restored_outlet(plan: Plan, key: str | None, part: _Outlet) -> Outlet:
    outlet = Outlet()
    outlet.passed_us = part.passed_us
    outlet.passes = deque(part.passes) if part.passes else None
    outlet.throttled_us = part.throttled_us
    outlet.throttled = None if part.throttled is None else _restored_firing(plan, key, part.throttled)
    outlet.debounced = None if part.debounced is None else _restored_firing(plan, key, part.debounced)
    outlet.debounce_due_us = part.debounce_due_us
    outlet.running = dict.fromkeys(part.running)
    outlet.queue = deque(_restored_firing(plan, key, firing) for firing in part.queue) if part.queue else None
    return outlet


def _restored_firing(plan: Plan, key: str | None, part: _Firing) -> Firing:
    return Firing(plan.name, key, part.sources, part.captures, part.missing, part.fired_at_us, part.trail, part.done)
