"""What runs during a benchmark: one file a program. Each is started on loopback and ended by its process number."""
