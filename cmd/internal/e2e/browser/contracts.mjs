// The official parser of AsyncAPI and a validator of OpenAPI read what a running server publishes.
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.env.LECTERN_NODE_MODULES, 'x.js'));
const { base } = JSON.parse(process.env.E2E_INPUT);

const text = async (address) => {
  const response = await fetch(base + address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return response.text();
};

const { Parser } = require('@asyncapi/parser');
const { document, diagnostics } = await new Parser().parse(await text('/asyncapi.json'));
const faults = diagnostics.filter((d) => d.severity <= 1).map((d) => `asyncapi.json: ${d.message} at ${d.path.join('/')}`);

const { Validator } = await import(require.resolve('@seriousme/openapi-schema-validator'));
const validator = new Validator();
const verdict = await validator.validate(JSON.parse(await text('/openapi.json')));
if (!verdict.valid) faults.push(`openapi.json: ${JSON.stringify(verdict.errors)}`);

const operations = document ? document.operations().all() : [];
console.log(
  JSON.stringify({
    result: {
      faults,
      openapi: validator.version,
      receives: operations.filter((o) => o.isReceive()).map((o) => o.id()),
      sends: operations.filter((o) => o.isSend()).length,
    },
  }),
);
