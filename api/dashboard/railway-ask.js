// Reads and changes through the railway's own routes; a refusal carries the server's sentence.

import { Refusal, authorization } from "./ask.js";

export { Refusal };
export { address, keepToken } from "./ask.js";
export const isSignedIn = () => Boolean(sessionStorage.getItem("token"));
export const signOut = () => sessionStorage.removeItem("token");

const KINDS = { 401: "unauthorized", 403: "unauthorized", 502: "unavailable", 503: "unavailable", 504: "unavailable" };

async function reach(method, url, body, signal) {
  const timeout = AbortSignal.timeout(15000);
  const headers = { ...authorization(), ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  try {
    const kept = signal ? AbortSignal.any([signal, timeout]) : timeout;
    return await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: kept });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal("network");
  }
}

export async function call(method, url, body, signal) {
  const answer = await reach(method, url, body, signal);
  if (!answer.ok) throw await refusal(answer);
  const next = /<([^>]*)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
  const data = answer.status === 204 ? null : await answer.json();
  return { data, next: next ? new URL(next, answer.url).href : null };
}

// A file as it comes, for the browser to keep: a plain link could not send the token.
export async function file(url) {
  const answer = await reach("GET", url);
  if (!answer.ok) throw await refusal(answer);
  return URL.createObjectURL(await answer.blob());
}

// A refusal with the server's sentence; what is wrong with which field of a body (422) comes besides.
async function refusal(answer) {
  const { status } = answer;
  const detail = (await answer.json().catch(() => null))?.detail;
  const wrong = Array.isArray(detail) ? detail : [];
  const fields = wrong.map((one) => `${one.loc?.slice(1).join(".") || "?"}: ${one.msg}`).join("; ");
  return new Refusal(KINDS[status] ?? "failed", typeof detail === "string" ? detail : fields || `${status}`, { status, wrong });
}
