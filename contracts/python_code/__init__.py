"""Python code for a contract's event: a Pydantic model made from its schema.

- `making`     asks for the code, within bounds
- `bundling`   one schema of several that refer to one another
- `writer`     a program of its own, in which datamodel-code-generator works
- `harmless`   a schema without the generator's own keywords; whether code declares models and does nothing else
"""

from contracts.python_code.making import Code, make, module_name

__all__ = ["Code", "make", "module_name"]
