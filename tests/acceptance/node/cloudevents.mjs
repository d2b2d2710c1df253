// Publishes CloudEvents in a mode, or reads messages with the SDK. In and out: a line of JSON for each question.
import { createInterface } from 'node:readline';
import { CloudEvent, HTTP } from 'cloudevents';

async function send(url, { headers, body }) {
  const answer = await fetch(url, { method: 'POST', headers, body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
}

async function publish({ given, mode, url }) {
  const events = given.map((attributes) => new CloudEvent(attributes));
  if (mode === 'batch') {
    // The SDK reads batches and writes none.
    const headers = { 'content-type': 'application/cloudevents-batch+json' };
    for (let at = 0; at < events.length; at += 100) {
      await send(url, { headers, body: JSON.stringify(events.slice(at, at + 100)) });
    }
  } else {
    for (const event of events) await send(url, HTTP[mode](event));
  }
  return events;
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  const events = question.url
    ? await publish(question)
    : question.given.flatMap((message) => HTTP.toEvent(message));
  console.log(JSON.stringify(events));
}
