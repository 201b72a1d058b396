"""The bridge for devices on a serial line: pure state machines, and what drives them (docs/spec/serial.md)."""
