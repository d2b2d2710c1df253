"""Python code for a contract's event: a Pydantic model generated from its schema."""
