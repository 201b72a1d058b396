"""A board whose broker has a name that nobody knows."""

from upy.agent import Agent

Agent("home/board", "nowhere.invalid", retry_ms=20, retry_ms_max=50).run()
