"""Two hosts of one matrix on one broker: what they do, what they write, and how they come back."""
