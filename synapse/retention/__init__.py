"""Creating streams and keeping them within their limits."""
