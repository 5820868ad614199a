// Asks the API of sales audio with what signing in gave; it is kept until the browser's tab closes.

import { Refusal, address, ask, authorization, keepToken } from "./ask.js";
import { session } from "./person.js";

export { Refusal, address, ask };
let hasSession = false;
export const hasToken = () => Boolean(sessionStorage.getItem("token"));
export const isSignedIn = () => hasSession || hasToken();
export function signOut() {
  sessionStorage.removeItem("token");
  hasSession = false;
}
export const learnSession = async () => (hasSession = await session);

// With ADMIN_TOKEN, or with a user's name and password. Throws a Refusal whose kind says what is wrong.
export async function signIn({ token, name, password }) {
  const kept = token || (await userToken(name, password));
  const answer = await reach("/v1/sales/costs", { headers: { Authorization: `Bearer ${kept}` } });
  if (answer.status === 401) throw new Refusal("wrongToken");
  if (!answer.ok) throw new Refusal("unavailable");
  keepToken(kept);
}

async function userToken(username, password) {
  const headers = { "Content-Type": "application/json" };
  const answer = await reach("/api/v1/auth/login", { method: "POST", headers, body: JSON.stringify({ username, password }) });
  if (answer.status === 429) throw new Refusal("tooMany");
  if (answer.status >= 500) throw new Refusal("unavailable");
  if (!answer.ok) throw new Refusal("wrongUser");
  return (await answer.json()).access_token;
}

async function reach(url, options) {
  try {
    return await fetch(url, { ...options, signal: AbortSignal.timeout(15000) });
  } catch {
    throw new Refusal("network");
  }
}

// A recording as an address that an audio element plays: the element itself could not send the token.
export async function recording(url, signal) {
  const answer = await fetch(url, { headers: authorization(), signal });
  if (!answer.ok) throw new Refusal("noAudio");
  return URL.createObjectURL(await answer.blob());
}
