"""From a request to publish to commands, and back to its answer."""
