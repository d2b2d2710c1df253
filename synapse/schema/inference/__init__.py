"""Propose a schema from events: it declares the properties that they share, and no more than that."""
