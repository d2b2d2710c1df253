"""The tracer of this process, None while tracing is off. Hot paths check nothing else."""

from synapse.tracing.tracer import Tracer

tracer: Tracer | None = None


def turn_on(made: Tracer) -> None:
    """Trace with this tracer from now on."""
    global tracer  # noqa: PLW0603 - one module attribute, because checking it costs almost nothing
    tracer = made


def turn_off() -> None:
    """Stop tracing."""
    global tracer  # noqa: PLW0603 - as above
    tracer = None
