"""Finding an event over all streams, and the index behind it."""
