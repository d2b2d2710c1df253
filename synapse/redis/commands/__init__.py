"""Every command to Redis as a value, by subject."""
