"""Models of the platform's events."""
