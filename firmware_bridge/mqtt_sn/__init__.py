"""A gateway for nodes that speak MQTT-SN 1.2 over UDP: small, asleep most of the time, on links that lose datagrams."""
