"""What the webhook sink stands on: signed requests to an address that was looked at first.

- `allowing`   what the setting SYNAPSE_WEBHOOK_ALLOW opens
- `addresses`  which IP addresses are part of the internet; pure
- `targets`    which URLs may be asked for, before anybody resolved a name; pure
- `resolving`  names to addresses, each of them checked
- `signing`    Standard Webhooks: ids and signatures; pure
- `messages`   an event as a request
- `sending`    the requests
- `limit`      how long each may take
- `responses`  what an answer means; pure
"""
