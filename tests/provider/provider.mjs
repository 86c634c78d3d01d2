// A certified implementation of OpenID Connect, with one client and with people who sign in by naming themselves:
//   node provider.mjs <port> <client id> <client secret> <redirect uri>...
// Whoever signs in as ada has the verified address ada@demo.test; as ada! one that nobody has verified.
import Provider from 'oidc-provider'

const [port, client_id, client_secret, ...redirect_uris] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`

const provider = new Provider(issuer, {
  clients: [{ client_id, client_secret, redirect_uris }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['given_name', 'family_name'] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  cookies: { keys: ['for tests'] },
  findAccount: (_, sub) => ({
    accountId: sub,
    claims: () => {
      const name = sub.replace('!', '')
      return { sub, email: name.includes('@') ? name : `${name}@demo.test`, email_verified: !sub.endsWith('!'),
               given_name: name[0].toUpperCase() + name.slice(1), family_name: 'Harbour' }
    },
  }),
})

const page = (uid) => `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Harbour ID</title><main><h1>Harbour ID</h1>
<form method="post" action="/interaction/${uid}"><label>Name <input name="name" required></label>
<button>Sign in there</button><button name="deny" value="1" formnovalidate>Not now</button></form></main></html>`

const read = async (request) => {
  let body = ''
  for await (const chunk of request) body += chunk
  return new URLSearchParams(body)
}

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next()
  const { uid, prompt, session, params } = await provider.interactionDetails(ctx.req, ctx.res)
  if (ctx.method === 'GET' && prompt.name === 'login') {
    ctx.type = 'html'
    ctx.body = page(uid)
    return
  }
  const form = ctx.method === 'POST' ? await read(ctx.req) : new URLSearchParams()
  let result
  if (form.get('deny')) {
    result = { error: 'access_denied', error_description: 'They did not want to.' }
  } else if (prompt.name === 'login') {
    result = { login: { accountId: form.get('name') } }
  } else {   // consent: given at once
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
    grant.addOIDCScope(params.scope)
    result = { consent: { grantId: await grant.save() } }
  }
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true })
  ctx.respond = false
})

provider.listen(Number(port), '127.0.0.1', () => console.log(issuer))
