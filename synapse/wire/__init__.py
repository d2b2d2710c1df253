"""The format of events in Redis: entries, ids, encoders and decoders."""
