"""The sinks of bridges: one file each; `registry` finds those that the settings name."""
