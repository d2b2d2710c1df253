"""The programs that run during a benchmark, one module each. Each listens on loopback, and is ended by its process
id.
"""
