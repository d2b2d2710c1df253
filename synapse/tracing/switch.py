"""The tracer of this process: None while tracing is off, which is all that the hot paths look at."""

from synapse.tracing.tracer import Tracer

tracer: Tracer | None = None


def turn_on(made: Tracer) -> None:
    """Trace with this tracer from now on."""
    global tracer  # noqa: PLW0603 - one attribute, so that looking at it costs next to nothing
    tracer = made


def turn_off() -> None:
    """Trace nothing from now on."""
    global tracer  # noqa: PLW0603 - as above
    tracer = None
