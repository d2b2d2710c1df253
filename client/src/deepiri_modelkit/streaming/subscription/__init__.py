"""Subscriptions: `link` maintains a connection, `group` and `plain` choose the entries to read, `loop` delivers
them.
"""
