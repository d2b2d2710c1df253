"""Subscriptions: `link` keeps a connection, `group` and `plain` choose the entries to read, `loop` delivers them."""
