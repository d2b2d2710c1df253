"""Headers that answers have on the event loop and in Django alike."""

# RFC 9111, 5.2.2.5: neither the browser nor a proxy keeps the answer.
NO_STORE = "no-store"
# An answer that is data runs and loads nothing (Content Security Policy, level 3).
DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'"
