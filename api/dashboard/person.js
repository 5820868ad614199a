// Who is signed in at the provider of identities, with a way out; or the way in. Nothing where there is no provider.

import { h } from "./dom.js";

const WORDS = {
  en: { signIn: "Sign in", signOut: "Sign out", noRole: "no role here" },
  ru: { signIn: "Войти", signOut: "Выйти", noRole: "здесь нет роли" },
};
const root = document.documentElement;
let me = { provider: false, name: null, roles: [] };

// Resolves to whether this browser is signed in there; the cookie that says so is out of a page's reach.
export const session = ask();

async function ask() {
  try {
    const answer = await fetch("/ui/me", { cache: "no-store", signal: AbortSignal.timeout(15000) });
    if (answer.ok) me = await answer.json();
  } catch {
    // The page's own questions say that nothing answers.
  }
  if (me.provider) {
    draw();
    new MutationObserver(draw).observe(root, { attributeFilter: ["lang"] });
  }
  return me.name !== null;
}

function draw() {
  const words = WORDS[root.lang] ?? WORDS.en;
  const inside = me.name === null ? [entrance(words)] : [h("span", { title: me.roles.join(", ") || words.noRole }, me.name), exit(words)];
  document.getElementById("person")?.remove();
  document.querySelector(".controls").prepend(h("span", { id: "person", class: "person" }, ...inside));
}

const entrance = (words) => h("button", { type: "button", class: "ghost", onclick: enter }, words.signIn);
const exit = (words) => h("button", { type: "button", class: "ghost", onclick: leave }, words.signOut);

const enter = () => location.assign(`/ui/sign-in?page=${encodeURIComponent(location.pathname + location.search + location.hash)}`);

async function leave() {
  const answer = await fetch("/ui/sign-out", { method: "POST", signal: AbortSignal.timeout(15000) });
  if (answer.ok) location.assign((await answer.json()).next);
}
