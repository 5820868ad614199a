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
  if (!answer.ok) throw new Refusal(KINDS[answer.status] ?? "failed", await reason(answer));
  const next = /<([^>]*)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
  const data = answer.status === 204 ? null : await answer.json();
  return { data, next: next ? new URL(next, answer.url).href : null };
}

// A file as it comes, for the browser to keep: a plain link could not send the token.
export async function file(url) {
  const answer = await reach("GET", url);
  if (!answer.ok) throw new Refusal(KINDS[answer.status] ?? "failed", await reason(answer));
  return URL.createObjectURL(await answer.blob());
}

async function reason(answer) {
  const said = await answer.json().catch(() => null);
  const detail = said?.detail;
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) return detail.map((one) => `${one.loc?.slice(1).join(".") || "?"}: ${one.msg}`).join("; ");
  return `${answer.status}`;
}
