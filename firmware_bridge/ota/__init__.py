"""Updates over the air, the host's side: images, keys that sign them, and the desk that serves them to boards."""
