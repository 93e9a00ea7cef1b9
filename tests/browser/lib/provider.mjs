// A real OpenID provider on loopback. Whoever comes is signed in at once as the one who was named last, so that no test has to click.
import http from "node:http";
import { Provider } from "oidc-provider";

const PEOPLE = {
  ada: { preferred_username: "ada", name: "Ada Lovelace", groups: ["admins"] },
  bob: { preferred_username: "bob", name: "Bob", groups: ["users"] },
  eve: { preferred_username: "eve", name: "Eve", groups: [] },
};

export const SECRET = "the-client-secret";

/** `back`: where it sends browsers to. */
export async function provide(back) {
  let who = "ada";
  let answer = (_request, response) => response.writeHead(503).end();
  const server = http.createServer((request, response) => answer(request, response));
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "skep", client_secret: SECRET, redirect_uris: [back], response_types: ["code"], grant_types: ["authorization_code"] }],
    pkce: { required: () => true },
    claims: { openid: ["sub"], profile: ["preferred_username", "name", "groups"] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: `subject-${id}`, ...PEOPLE[id] }) }),
    interactions: { url: (_context, interaction) => `/as/${interaction.uid}` },
  });
  const rest = provider.callback();
  const interact = async (request, response) => {
    const { prompt, params } = await provider.interactionDetails(request, response);
    if (prompt.name === "login") return provider.interactionFinished(request, response, { login: { accountId: who } });
    const grant = new provider.Grant({ accountId: who, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
  };
  answer = (request, response) => {
    if (!request.url.startsWith("/as/")) return rest(request, response);
    interact(request, response).catch((error) => response.writeHead(500).end(String(error)));
  };
  const end = () => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  return { issuer, end, is: (name) => { who = name; } };
}
