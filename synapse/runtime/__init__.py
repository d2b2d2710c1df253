"""Running a process: periodic work, backoff, file locks, ports, log lines, turns on the event loop."""
