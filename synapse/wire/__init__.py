"""How an event lies in Redis: entries, ids, encoders and decoders."""
