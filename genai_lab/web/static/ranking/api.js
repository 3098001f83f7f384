// Requests to the server, all below the page's own address. A reply without JSON counts as no reply.
const BASE = location.pathname.replace(/\/?$/, '/');
const PATIENCE = 15_000;
const KEEPALIVE = 50_000;  // browsers let at most 64 KiB outlive a page

async function ask(path, options) {
  try {
    const reply = await fetch(BASE + path, { credentials: 'same-origin', cache: 'no-store', signal: AbortSignal.timeout(PATIENCE), ...options });
    return { code: reply.status, data: await reply.json().catch(() => null) };
  } catch {
    return { code: 0, data: null };
  }
}

export const get = path => ask(path, {});
export function post(path, data) {
  const body = JSON.stringify(data);
  const keepalive = path === 'answer' && body.length < KEEPALIVE;
  return ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body, keepalive });
}

export const worked = ({ code, data }) => code === 200 && data !== null;
export const invalid = ({ code }) => code === 401 || code === 403;
// Refused for good, as opposed to a server or a network that is down for a while.
export const refused = ({ code }) => code >= 400 && code < 500 && code !== 408 && code !== 425 && code !== 429;
