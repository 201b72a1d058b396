"""What runs on a microcontroller (`upy`, for MicroPython and CPython alike), and what the host needs to start it."""
