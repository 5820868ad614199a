// A part of the page: a list of what is configured, with one form at a time in its place, and refusals beside what they are about.

import { byId, fill, h, say } from "./dom.js";
import { t } from "./language.js";
import { tell } from "./page-token.js";
import { Refusal, call } from "./railway-ask.js";
import { explained, meet } from "./security-refusals.js";

// `url` answers { items }; `draw` gives what stands in an item, `facts` what is said of them all, `gone` what a 404 of one means.
export function part(name, { url, idOf, draw: drawOne, facts, empty, gone }) {
  const at = (what) => byId(`${name}-${what}`);
  let data = null;
  let failure = null;
  let open = null;
  let refused = null;
  let asked = 0;

  async function load() {
    asked += 1;
    const mine = asked;
    if (!data) say(at("state"), "loading", t("loading"));
    const found = await call("GET", url).catch((error) => error);
    // What was asked for before somebody signed out, or asked again, is not shown.
    if (mine !== asked) return;
    if (found instanceof Error) failure = meet(found);
    else [data, failure] = [found.data, null];
    draw();
  }

  function draw() {
    if (failure) say(at("state"), "error", explained(failure).text, load, t("retry"));
    else if (data && !data.items.length) say(at("state"), "empty", t(empty));
    else if (data) fill(at("state"));
    const items = data?.items ?? [];
    at("facts").textContent = data ? facts(data) : "";
    open?.form.retell();
    const isListed = items.some((one) => idOf(one) === open?.id);
    fill(at("new"), isListed ? null : open?.form.element);
    fill(at("list"), ...items.map(item));
  }

  function item(one, n) {
    const id = idOf(one);
    const wrong = refused?.id === id ? h("p", { class: "wrong", role: "alert" }, explained(refused.error).text) : null;
    const element = h("li", { class: "thing", "data-id": id }, ...drawOne(one));
    // Buttons of many items are called the same: whose they are is said besides.
    element.querySelector("h3").id = `${name}-name-${n}`;
    for (const button of element.querySelectorAll("[data-key]")) button.setAttribute("aria-describedby", `${name}-name-${n}`);
    element.append(...[wrong, open?.id === id ? open.form.element : null].filter(Boolean));
    return element;
  }

  // Shows a form in the place of what it is about (null: something new); one that was begun is only left when that is wanted.
  function edit(id, form) {
    if (open?.form.isChanged() && !confirm(t("discard"))) return false;
    open = { id, form };
    refused = null;
    draw();
    form.element.scrollIntoView();
    form.focus();
    return true;
  }

  // Takes the form away; the keyboard goes back to where it was opened.
  function close() {
    const id = open?.id;
    open = null;
    draw();
    const opener = id === null || id === undefined ? null : at("list").querySelector(`[data-id="${CSS.escape(id)}"] [data-key]`);
    (opener ?? at("add")).focus();
  }

  async function finished(word) {
    tell(t(word));
    await load();
    close();
  }

  // Does something to an item at once. Gives what it gave, or undefined when it was refused.
  async function act(id, work) {
    refused = null;
    try {
      return await work();
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) {
        tell(t(gone), "error");
        await load();
      } else {
        refused = { id, error: meet(error) };
        draw();
      }
      return undefined;
    }
  }

  async function done(word) {
    tell(t(word));
    await load();
    if (document.activeElement === document.body) at("add").focus();
  }

  function clear() {
    asked += 1;
    data = failure = open = refused = null;
    draw();
    fill(at("state"));
  }

  return { load, draw, edit, close, finished, act, done, clear };
}

// Whether there is something at an address already: adding must not change what somebody else configured.
export async function exists(url) {
  try {
    await call("GET", url);
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return false;
    throw error;
  }
}
