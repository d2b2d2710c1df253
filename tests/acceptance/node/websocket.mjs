// Subscribes, publishes, and prints the numbers of the events that come back; then resumes on a second connection.
import WebSocket from 'ws';

const url = `${process.env.SYNAPSE_URL.replace('http', 'ws')}/ws`;

function open() {
  const socket = new WebSocket(url, ['synapse.v1'], { headers: { 'X-API-Key': process.env.SYNAPSE_API_KEY ?? '' } });
  const waiting = [];
  const came = [];
  socket.on('message', (data) => {
    const message = JSON.parse(data);
    const next = waiting.shift();
    if (next) next(message);
    else came.push(message);
  });
  return {
    socket,
    opened: new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject)),
    say: (command) => socket.send(JSON.stringify(command)),
    next: () => (came.length ? Promise.resolve(came.shift()) : new Promise((resolve) => waiting.push(resolve))),
  };
}

async function event(client) {
  let message;
  do message = await client.next(); while (message.op !== 'event');
  return message;
}

const publish = (n) => ({ op: 'publish', stream: 'parcels', event: { event_type: 'parcel-sent', n } });

const first = open();
await first.opened;
first.say({ op: 'subscribe', stream: 'parcels' });
await first.next();
first.say(publish(1));
const seen = await event(first);
const closed = new Promise((resolve) => first.socket.on('close', resolve));
first.socket.close();

const second = open();
await second.opened;
second.say(publish(2));
second.say({ op: 'resume', position: seen.position });
second.say({ op: 'subscribe', stream: 'parcels' });
const rest = await event(second);
second.socket.ping();
await new Promise((resolve) => second.socket.on('pong', resolve));
second.socket.close();

console.log(JSON.stringify([first.socket.protocol, seen.event.n, await closed, rest.event.n]));
