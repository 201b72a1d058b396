"""Programs that do the least that can be done, to compare with. Each takes a port: `sensor/N` in, `actuator/N` out."""
