"""Broker profiles, as data: configurations for brokers that EdgeMatrix starts, and what each kind of broker can carry."""
