"""The base of the webhook sink: signed requests to checked addresses.

- `target`     the URLs and addresses that may be called
- `resolver`   the resolution of names to checked addresses
- `signature`  Standard Webhooks: ids and signatures
- `messages`   an event as a request, and the meaning of the answer
- `sender`     sending requests, with time limits
"""
