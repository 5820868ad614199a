// Asks the API; every failure has a kind that the page has words for; `status` and `wrong` are what the server answered.

export class Refusal extends Error {
  constructor(kind, detail = "", { status = null, wrong = [] } = {}) {
    super(detail || kind);
    Object.assign(this, { kind, status, wrong });
  }
}

const TOKEN = "token";
export const keepToken = (token) => sessionStorage.setItem(TOKEN, token);
export const authorization = () => {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
};

const KINDS = { 401: "unauthorized", 403: "unauthorized", 502: "unavailable", 503: "unavailable", 504: "unavailable" };

export function address(path, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const text = new URLSearchParams(kept.map(([key, value]) => [key, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

export async function ask(url, signal) {
  const timeout = AbortSignal.timeout(15000);
  let answer;
  try {
    answer = await fetch(url, { headers: authorization(), signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal("network");
  }
  if (!answer.ok) throw new Refusal(KINDS[answer.status] ?? "failed", `${answer.status}`);
  const next = /<([^>]*)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
  return { data: await answer.json(), next: next ? new URL(next, answer.url).href : null };
}
