// An OpenID provider by oidc-provider, and whoever asks it and a gateway, for `cargo xtask engines oidc`.
//
//   serve PORT           prints a line when it listens; `add` and `retire` on standard input change its keys
//   token PORT RESOURCE  an access token for user-7, by client credentials
//   own GATEWAY          an access token of the cluster's own auth service, for user-7
//   ask GATEWAY TOKEN    the status of a request of this user
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const ALGORITHMS = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};
// As a client credentials token has it: the client is its own subject.
const CLIENT = { client_id: 'user-7', client_secret: 'a-secret-of-the-test' };

function keys(generation) {
  return Object.entries(ALGORITHMS).map(([alg, generate]) => {
    const jwk = generate().privateKey.export({ format: 'jwk' });
    return { ...jwk, alg, use: 'sig', kid: `${alg}-${generation}` };
  });
}

// `urn:chat:ES256` is the chat, with tokens signed so; `urn:other:ES256` is something else.
function resource(name) {
  const [, who, alg] = name.split(':');
  return {
    scope: 'chat',
    audience: `https://${who}.example`,
    accessTokenFormat: 'jwt',
    accessTokenTTL: 3600,
    jwt: { sign: { alg } },
  };
}

async function serve(port) {
  const { Provider } = await import('oidc-provider');
  const provider = (jwks) => new Provider(`http://127.0.0.1:${port}`, {
    jwks: { keys: jwks },
    scopes: ['openid', 'chat'],
    clients: [{
      ...CLIENT,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      scope: 'chat',
      token_endpoint_auth_method: 'client_secret_post',
    }],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: true, getResourceServerInfo: (_, name) => resource(name) },
    },
  }).callback();
  let published = keys(1);
  let answer = provider(published);
  const server = createServer((request, response) => answer(request, response));
  server.listen(port, '127.0.0.1', () => console.log('ready'));
  const lines = createInterface({ input: process.stdin });
  // New keys sign from now on; the old ones stay published until they are retired.
  lines.on('line', (line) => {
    published = line === 'add' ? [...keys(2), ...published] : published.slice(0, 3);
    answer = provider(published);
    console.log(line);
  });
  lines.on('close', () => process.exit());
}

async function post(url, form) {
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(form) });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return (await answer.json()).access_token;
}

const [what, at, more] = process.argv.slice(2);
switch (what) {
  case 'serve':
    await serve(Number(at));
    break;
  case 'token': {
    const form = { grant_type: 'client_credentials', scope: 'chat', resource: more, ...CLIENT };
    console.log(await post(`http://127.0.0.1:${at}/token`, form));
    break;
  }
  case 'own': {
    const form = { grant_type: 'password', username: 'user-7', password: 'fracas' };
    console.log(await post(`http://127.0.0.1:${at}/oauth2/token`, form));
    break;
  }
  case 'ask': {
    const headers = { Authorization: `Bearer ${more}` };
    console.log((await fetch(`http://127.0.0.1:${at}/v1/conversations`, { headers })).status);
    break;
  }
}
