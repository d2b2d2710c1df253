// A full cycle with an unmodified client; what came of each step goes to the standard output as JSON.
import registryClient from '@kafkajs/confluent-schema-registry';

const { COMPATIBILITY, SchemaRegistry, SchemaType } = registryClient;
const registry = new SchemaRegistry({ host: process.env.REGISTRY_URL });
const subject = 'node/orders-value';
const json = (document) => ({ type: SchemaType.JSON, schema: JSON.stringify(document) });
const order = { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] };
const withNote = { ...order, properties: { ...order.properties, note: { type: 'string' } } };
const told = {};

const first = await registry.register(json(order), { subject });
told.again = (await registry.register(json(order), { subject })).id === first.id;
const second = await registry.register(json(withNote), { subject });
told.latest = (await registry.getLatestSchemaId(subject)) === second.id;
told.lookup = (await registry.getRegistryId(subject, 1)) === first.id;
told.found = (await registry.getRegistryIdBySchema(subject, json(withNote))) === second.id;

const encoded = await registry.encode(second.id, { id: 7, note: 'with care' });
told.wire = [encoded[0], encoded.readInt32BE(1) === second.id];
told.decoded = await registry.decode(encoded);
try {
  await registry.encode(second.id, { note: 'nameless' });
} catch (error) {
  told.invalid = error.name;
}

const refused = { ...order, required: ['id', 'customer'], properties: { ...order.properties, customer: {} } };
try {
  await registry.register(json(refused), { subject });
} catch (error) {
  told.refused = { status: error.status, message: error.message };
}
try {
  await registry.register(json(order), { subject: 'node/other', compatibility: COMPATIBILITY.FULL });
  await registry.register(json(withNote), { subject: 'node/other', compatibility: COMPATIBILITY.BACKWARD });
} catch (error) {
  told.compatibility = error.message;
}
console.log(JSON.stringify(told));
