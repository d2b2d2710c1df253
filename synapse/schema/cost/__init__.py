"""Upper bounds of the cost of checking events against schemas, in steps of about ten nanoseconds."""
