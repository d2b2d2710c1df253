"""A schema proposed from events: what they have in common, and no more than that."""
