"""An agent that lives on a microcontroller. Copy this folder to the board as `lib/upy`; see `agent.Agent`."""
