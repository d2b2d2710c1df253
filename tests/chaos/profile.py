"""`SYNAPSE_TESTS=full`, as `make chaos` sets it: more, and for longer."""

import os

FULL = os.environ.get("SYNAPSE_TESTS") == "full"
