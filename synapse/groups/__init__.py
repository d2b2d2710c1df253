"""Consumer groups: where they begin, whose they are, what acting on them results in."""
