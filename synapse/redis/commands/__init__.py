"""Commands to Redis as values, by subject.

Commands with a single use stand where they are used: the probe of `server_checks` (`SET`), saving and stopping the
embedded server (`BGSAVE`, `SHUTDOWN`), and following a redirect in a cluster (`ASKING`). Scripts call further commands
(`redis/scripts`).
"""
