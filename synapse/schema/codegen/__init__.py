"""Python code for a contract's event: a Pydantic model made from its schema."""
