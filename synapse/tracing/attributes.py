"""The names of all attributes of spans.

The conventions for messaging are in development:
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/. No attribute holds a payload, an error's text, a
URL's query or the name of a person.
"""

SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
MESSAGE_ID = "messaging.message.id"
BATCH_COUNT = "messaging.batch.message_count"
CONSUMER_GROUP = "messaging.consumer.group.name"

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
URL_SCHEME = "url.scheme"
ERROR_TYPE = "error.type"

# Synapse's own attributes: the number of the attempt, from 1, and its outcome: delivered, retry, dead or returned.
ATTEMPT = "synapse.delivery.attempt"
OUTCOME = "synapse.delivery.outcome"

SYNAPSE = "synapse"
# The value for a method that HTTP does not define.
OTHER_METHOD = "_OTHER"
