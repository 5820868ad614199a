// The token that a server may want, asked for at the top of the page; refusals and good news in words.

import { byId } from "./dom.js";
import { t } from "./language.js";
import { Refusal, isSignedIn, keepToken, signOut } from "./railway-ask.js";

// `enter` reads everything anew with the token that was given, `leave` takes everything off the page.
export function wireToken(enter, leave) {
  byId("token").onsubmit = (event) => {
    event.preventDefault();
    keepToken(byId("token-text").value.trim());
    byId("token").reset();
    byId("token").hidden = true;
    enter();
  };
  byId("sign-out").onclick = () => {
    signOut();
    leave();
    enter();
  };
}

export const drawSignOut = () => { byId("sign-out").hidden = !isSignedIn(); };

export function askForToken() {
  byId("token").hidden = false;
  byId("token-state").textContent = isSignedIn() ? t("wrongToken") : "";
}

// A failure as a sentence; where a token is wanted, it is asked for.
export function explain(error) {
  if (!(error instanceof Refusal)) {
    console.error(error);
    return t("failed");
  }
  if (error.kind === "unauthorized") askForToken();
  return error.kind === "failed" ? `${t("failed")} ${error.message}` : t(error.kind);
}

let telling = null;
export function tell(text, kind = "done") {
  byId("said").hidden = false;
  byId("said").dataset.kind = kind;
  byId("said").textContent = text;
  clearTimeout(telling);
  telling = setTimeout(() => { byId("said").hidden = true; }, 6000);
}
