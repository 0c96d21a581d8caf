// A real OpenID provider on this machine, for the tests of the portal's login:
//   node provider.mjs PORT CLIENT_ADDRESS
// Whoever logs in is who they say; what they may do is by name, below. Prints "ready" when it listens.
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const installed = process.env.HUIZHEN_OIDC_PROVIDER || import.meta.dirname;
const require = createRequire(path.join(installed, 'package.json'));
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);

const [port, client] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const entitlements = {
  rita: ['urn:test:researcher'],
  oskar: ['urn:test:officer:north'],
  olga: ['urn:test:officer:south', 'urn:test:researcher'],
  vera: ['urn:test:viewer'],
  anton: ['urn:test:auditor'],
};

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'portal',
    token_endpoint_auth_method: 'none',
    redirect_uris: [`${client}/callback`],
    post_logout_redirect_uris: [`${client}/welcome`],
  }],
  claims: {
    openid: ['sub'],
    profile: ['name'],
    email: ['email', 'email_verified'],
    entitlement: ['eduperson_entitlement'],
  },
  scopes: ['openid', 'profile', 'email', 'entitlement'],
  cookies: { keys: ['only for tests'] },
  features: { devInteractions: { enabled: true } },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: id[0].toUpperCase() + id.slice(1),
      email: `${id}@example.org`,
      email_verified: true,
      eduperson_entitlement: entitlements[id] ?? [],
    }),
  }),
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
