"""The base of the notification sink: short messages to a chat, a pager or a mailbox, sent with apprise.

- `receiver`   the supported receivers, and the checks of their URLs
- `messages`   an alert, or any event, as a message for people
- `process`    the parent's end: starts the child, sends it messages, and kills it when it hangs
- `child`      the child's end, the only module that imports apprise
- `guard`      restricts the child's connections to allowed addresses
"""
