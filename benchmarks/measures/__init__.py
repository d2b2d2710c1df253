"""How each kind of row is measured: one file a kind. A measure takes the stage and returns what it found."""
