"""A BBC micro:bit on its serial line: `uptime` in seconds, and a lamp in the middle of its display.

Its MicroPython has some 9 KiB of memory, neither `select` nor `json`, and functions call one another some five deep at most: so this is
all of docs/spec/serial.md that it needs, what is to be said waits in `out` until the loop says it, and it is sent function by function.
"""
# ruff: noqa: RUF005, RUF021 - its MicroPython is old

import micropython
from microbit import display, running_time, uart

HELLO = b"microbit >uptime =lit <lamp"
state = {"session": b"\0\0", "in": bytearray(), "event": b"", "events": 0, "emits": 0, "damaged": 0, "done": [], "said": 0, "told": 0}
out = []


def check(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc ^ 0xFFFF


def send(kind, payload=b"", number=0):
    frame = bytearray(b"\0") + bytes((0, kind, number)) + payload
    crc = check(frame[1:])
    frame += bytes((crc >> 8, crc & 0xFF))
    last = len(frame)
    for place in range(last - 1, -1, -1):
        if frame[place] == 0:
            frame[place] = last - place
            last = place
    uart.write(b"\0" + bytes(frame) + b"\0")


def unpack(frame):
    place = 0
    while place < len(frame):
        step = frame[place]
        frame[place] = 0
        place += step or 256
    body = bytes(frame[1:])
    if place != len(frame) or len(body) < 5 or check(body[:-2]) != body[-2] << 8 | body[-1]:
        state["damaged"] += 1
        return None
    return body[:-2]


def greet():
    out.append((1, b"\x01" + state["session"] + b"\x40" + HELLO))


def repeat():
    if state["session"] == b"\0\0":
        greet()
    elif state["event"]:
        out.append((4, state["event"], state["events"]))


def here():
    out.append((2, state["session"] + bytes((state["damaged"] >> 8 & 0xFF, state["damaged"] & 0xFF))))


def light(value):
    if value not in (b"on", b"off"):
        return b"\x02"
    display.set_pixel(2, 2, 9 if value == b"on" else 0)
    state["event"] = b"\x01" + value
    state["events"] = state["events"] + 1 & 0xFF
    return b"\0"


def command(found, port, value):
    for known, result in state["done"]:
        if known == found:
            return result
    result = light(value) if port == 2 else b"\x01"
    state["done"] = state["done"][-3:] + [(found, result)]
    return result


def take(kind, number, payload):
    if kind == 0x81 or kind == 0x83 and payload != state["session"]:
        greet()
    elif kind == 0x82:
        state["session"] = payload
        here()
    elif kind == 0x83:
        here()
    elif kind == 0x84 and number == state["events"]:
        state["event"] = b""
    elif kind == 0x85 and state["session"] != b"\0\0":
        out.append((5, payload[:4] + command(payload[:4], payload[4], payload[5:])))


def hear(data):
    """The whole frames that end in these bytes."""
    found = []
    for byte in data:
        if byte and len(state["in"]) < 90:
            state["in"].append(byte)
        elif not byte and state["in"]:
            found.append(state["in"])
            state["in"] = bytearray()
    return found


def due(now):
    """Say again each half second what was not answered, and each second how long it has been."""
    if now - state["said"] >= 500:
        state["said"] = now
        repeat()
    if now - state["told"] >= 1000 and state["session"] != b"\0\0":
        state["told"] = now
        state["emits"] = state["emits"] + 1 & 0xFF
        out.append((3, b"\0" + bytes(str(now // 1000), "ascii"), state["emits"]))


def run():
    micropython.kbd_intr(-1)  # a byte 3 is a byte, and not Ctrl-C
    while True:
        for frame in hear(uart.read() or b"") if uart.any() else ():
            body = unpack(frame)
            if body and body[0] == 0:
                take(body[1], body[2], body[3:])
        due(running_time())
        while out:
            send(*out.pop(0))


run()
