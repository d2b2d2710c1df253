"""What the webhook sink stands on: signed requests to an address that was looked at first.

- `allow_list`        what the setting SYNAPSE_WEBHOOK_ALLOW opens
- `public_addresses`  which IP addresses are part of the internet
- `target_url`        which URLs may be asked for, before anybody resolved a name
- `resolver`          names to addresses, each of them checked
- `signature`         Standard Webhooks: ids and signatures
- `request`           an event as a request
- `sender`            the requests
- `sender`            how long each may take
- `response`          what an answer means
"""
