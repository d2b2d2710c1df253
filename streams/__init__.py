"""Streams: publishing and inspection, services and grants, and the connections to Redis."""
