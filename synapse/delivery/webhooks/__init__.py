"""What the webhook sink stands on: signed requests to an address that was looked at first.

- `target`     which URLs and addresses may be called
- `resolver`   names to addresses, each of them checked
- `signature`  Standard Webhooks: ids and signatures
- `messages`   an event as a request, and what the answer means
- `sender`     sending the requests, and how long each may take
"""
