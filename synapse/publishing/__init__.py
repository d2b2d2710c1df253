"""Publishing: from a request to Redis commands, and from their replies to the response."""
