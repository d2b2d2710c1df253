"""What is personal in an event on its way into a sink."""

from streams.snapshot import holder
from synapse.delivery.event_delivery import Delivery
from synapse.wire import masking
from synapse.wire.masking import Mask


def mask_of(delivery: Delivery) -> Mask | None:
    """Return what is personal in the event, by the contracts of its stream; None when nothing is."""
    return masking.mask_of(holder.current().shown(delivery.stream), delivery.entry)
