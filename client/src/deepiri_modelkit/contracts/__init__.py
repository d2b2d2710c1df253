"""What the platform's events look like."""
