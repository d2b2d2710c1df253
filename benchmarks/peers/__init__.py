"""Programs that a user might write instead of Synapse: small, well written, and doing the same work."""
