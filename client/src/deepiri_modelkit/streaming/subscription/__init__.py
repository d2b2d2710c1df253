"""Reading a stream: `link` keeps a connection, `group` and `plain` say what is read next, `loop` hands it out."""
