// Publishes CloudEvents in a mode, or reads messages with the SDK. In and out: JSON.
import { CloudEvent, HTTP } from 'cloudevents';

const [what, mode, url] = process.argv.slice(2);
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const given = JSON.parse(Buffer.concat(chunks).toString());

async function send({ headers, body }) {
  const answer = await fetch(url, { method: 'POST', headers, body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
}

const asJson = (event) => JSON.parse(JSON.stringify(event));

if (what === 'publish') {
  const events = given.map((attributes) => new CloudEvent(attributes));
  if (mode === 'batch') {
    // The SDK reads batches and writes none.
    const headers = { 'content-type': 'application/cloudevents-batch+json' };
    for (let at = 0; at < events.length; at += 100) {
      await send({ headers, body: JSON.stringify(events.slice(at, at + 100)) });
    }
  } else {
    for (const event of events) await send(HTTP[mode](event));
  }
  console.log(JSON.stringify(events.map(asJson)));
} else {
  console.log(JSON.stringify(given.flatMap((message) => HTTP.toEvent(message)).map(asJson)));
}
