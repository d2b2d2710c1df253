// Lint the OpenAPI document of a running server by the rules that Redocly recommends; print what breaks them as JSON.
import { createConfig, lint } from '@redocly/openapi-core';

const config = await createConfig({ extends: ['recommended'] });
const problems = await lint({ ref: `${process.env.SYNAPSE_URL}/openapi.json`, config });
console.log(JSON.stringify(problems.filter(({ severity }) => severity === 'error').map(({ message }) => message)));
