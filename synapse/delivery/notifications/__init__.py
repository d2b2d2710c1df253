"""The base of the notification sink: short messages to a chat, a pager or a mailbox, sent with apprise.

- `receiver`   which receivers there are, and what their URLs may say
- `messages`   an alert, or any event, as a message for people
- `process`    the parent's end: starts the child, hands over messages, and ends it when it hangs
- `child`      the child's end, which alone imports apprise
- `guard`      keeps the child's connections to allowed addresses
"""
