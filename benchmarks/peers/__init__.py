"""Programs that a user might write instead of Synapse: small, honest, and with the same work."""
