"""Consumer groups: whose they are."""
