"""CloudEvents 1.0.2: the names and values of context attributes, and CloudEvents as events of Synapse. Pure: no I/O."""
