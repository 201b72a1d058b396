"""A thermometer with a lamp, on a serial line. Runs on a board with MicroPython and, without one, on the desk.

    mpremote cp -r firmware_bridge/upy :lib/ + cp examples/serial/thermometer.py :main.py    # a board: UART 1 at 115200 baud
    python examples/serial/thermometer.py 4000                                               # the desk: a socket in place of the line

The other side is `edgematrix bridge serial examples/serial/shed.yaml --line home/shed/thermometer=…`.
"""

import sys
import time

try:
    from upy.serial_agent import SerialAgent  # on a board
except ImportError:
    from firmware_bridge.upy.serial_agent import SerialAgent  # on the desk


def uart() -> object:
    """The board's line."""
    from machine import UART  # noqa: PLC0415 - boards alone have it

    return UART(1, 115200)


def desk_server(port: int) -> object:
    """Where lines for the desk come in."""
    import socket  # noqa: PLC0415 - boards without a network have none

    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    server.listen(1)
    return server


def desk(server: object, port: str) -> object:
    """A line for the desk: whoever connects to this port is at its other end."""
    sys.stderr.write(f"waiting for a bridge on port {port}\n")
    connection, _ = server.accept()
    # CPython would gather bytes; MicroPython's sockets are streams already.
    return connection if sys.implementation.name == "micropython" else connection.makefile("rwb", buffering=0)


def run(stream: object) -> None:
    began = time.time()
    agent = SerialAgent("thermometer", stream)
    agent.output("temperature")
    agent.output("uptime")
    agent.output("lit", retain=True)

    def light(value: object) -> None:
        if value not in ("on", "off"):
            raise ValueError("the lamp knows on and off")
        agent.event("lit", value)  # sent again until the broker has it

    def tell() -> None:
        seconds = int(time.time() - began)
        agent.emit("uptime", seconds)
        agent.emit("temperature", 4 - seconds / 2)  # here a sensor would be read

    agent.on("lamp", light)
    agent.every(1000, tell)
    agent.run()


def main(arguments: list) -> int:
    if len(arguments) > 1 or not all(argument.isdigit() for argument in arguments):
        sys.stderr.write("thermometer.py: expected a port, or nothing on a board\n")
        return 2
    try:
        if not arguments:
            run(uart())
        server = desk_server(int(arguments[0]))
        while True:
            try:
                run(desk(server, arguments[0]))
            except OSError as error:
                sys.stderr.write(f"{error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
    return 0


sys.exit(main(sys.argv[1:]))
