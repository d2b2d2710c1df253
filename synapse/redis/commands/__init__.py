"""Commands to Redis as values, by subject.

Commands with one use are beside it: the probe of `server_checks` (`SET`), saving and stopping the embedded server
(`BGSAVE`, `SHUTDOWN`), and following a redirect in a cluster (`ASKING`). Scripts call further ones (`redis/scripts`).
"""
