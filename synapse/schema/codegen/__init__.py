"""Python code for a contract's event: a Pydantic model made from its schema.

- `generator`  asks for the code, within bounds
- `generator`  one schema of several that refer to one another
- `program`    a program of its own, in which datamodel-code-generator works
- `safety`     a schema without the generator's own keywords; whether code declares models and does nothing else
"""

from synapse.schema.codegen.generator import Code, make, module_name

__all__ = ["Code", "make", "module_name"]
