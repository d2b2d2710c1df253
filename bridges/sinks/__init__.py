"""The sinks of bridges, one module each. `registry` finds those that the settings name."""
