"""Handler functions: which may run, how they are called, what passes between the processes."""
