"""What a user might write instead of Synapse: small honest programs that do the same work."""
