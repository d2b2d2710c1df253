"""The programs that run during a benchmark, one file each. Each is started on loopback and ended by its process
number."""
