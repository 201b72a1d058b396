"""EdgeMatrix: a tree of cooperating agents over MQTT."""
