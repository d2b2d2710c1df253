"""The base of the webhook sink: signed requests to an address that was checked first.

- `target`     which URLs and addresses may be called
- `resolver`   names to addresses, each of them checked
- `signature`  Standard Webhooks: ids and signatures
- `messages`   an event as a request, and what the answer means
- `sender`     sending the requests, and how long each may take
"""
