// What artillery.yml calls: one user in each context. The listener stays for the whole session, since a step of
// artillery that waits takes any frame for its answer.

const { readFileSync } = require("node:fs");

const env = process.env;
const people = readFileSync(env.PEOPLE, "utf8").trim().split("\n").map((line) => JSON.parse(line));
let next = 0;
// From the first user on: on a busy machine artillery takes many seconds to begin.
let end;

function attach(context, events, done) {
  end ??= Date.now() + Number(env.SECONDS) * 1000;
  const person = people[next++ % people.length];
  const session = { person, sent: 0, accepted: 0, told: null };
  context.vars.session = session;
  const socket = context.ws;
  socket.on("message", (data) => {
    const frame = JSON.parse(data);
    if (frame.ping) {
      socket.send(JSON.stringify({ pong: frame.ping }));
    } else if (frame.attached) {
      done();
    } else if (frame.entry && frame.entry.author !== person.user) {
      events.emit("counter", "delivered", 1);
    } else if (frame.accepted && frame.accepted.client_message_id === session.sent) {
      events.emit("counter", "accepted", 1);
      session.accepted = session.sent;
      if (session.told) session.told();
    }
  });
  socket.send(JSON.stringify({ hello: { token: person.token, device: 1 } }));
}

function compose(context, _events, done) {
  const { person, sent } = context.vars.session;
  const id = sent + 1;
  context.vars.session.sent = id;
  const body = `message ${id} of user ${person.user}`;
  context.vars.frame = JSON.stringify({
    send: { conversation: person.conversation, client_message_id: id, body },
  });
  done();
}

function accepted(context, _events, done) {
  const { session } = context.vars;
  session.told = () => {
    session.told = null;
    done();
  };
  if (session.accepted === session.sent) session.told();
}

// As long as its own step would be, which takes no number from the environment.
function think(_context, _events, done) {
  setTimeout(done, Math.max(0, Math.min(Number(env.THINK_MS), end - Date.now())));
}

function goesOn(_context, done) {
  done(Date.now() < end);
}

module.exports = { attach, compose, accepted, think, goesOn };
