"""The measures, one file for each kind of row. A measure takes the stage and returns its result."""
