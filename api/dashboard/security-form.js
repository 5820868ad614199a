// A form in its place on the page: fields with their names, what is wrong beside each, nothing lost until it is done.
//
// A field is { name, element, input, read(), mark(sentence) }; `read` throws a Wrong for what cannot be sent at all.
// Words are bound to the elements by their keys, so that another language does not cost what was typed.

import { h } from "./dom.js";
import { t } from "./language.js";
import { Wrong, explained, meet } from "./security-refusals.js";

let made = 0;

const worded = (tag, word, properties = {}) => h(tag, { ...properties, "data-t": word }, t(word));

// A place for what is wrong with an input, and what else is said of it.
export function noted(input, hint) {
  made += 1;
  input.id ||= `field-${made}`;
  const wrong = h("small", { id: `${input.id}-wrong`, class: "wrong" });
  const note = hint ? worded("small", hint, { id: `${input.id}-hint` }) : null;
  input.setAttribute("aria-describedby", [note?.id, wrong.id].filter(Boolean).join(" "));
  const mark = (sentence) => {
    wrong.textContent = sentence;
    if (sentence) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  return { note, wrong, mark };
}

function field(name, input, { word = name, hint, wide }, read) {
  const { note, wrong, mark } = noted(input, hint);
  const element = h("div", { class: wide ? "field wide" : "field" }, worded("label", word, { for: input.id }), input, note, wrong);
  return { name, element, input, read, mark };
}

// What stays empty is null.
export function text(name, value, look = {}) {
  const { long, needed, empty = null } = look;
  const input = long ? h("textarea", { name, rows: 3 }, value ?? "") : h("input", { name, type: "text", value: value ?? "", autocomplete: "off", spellcheck: "false" });
  if (needed) input.setAttribute("aria-required", "true");
  return field(name, input, look, () => {
    const said = input.value.trim();
    if (needed && !said) throw new Wrong(name, "needed");
    return said || empty;
  });
}

export function number(name, value, look = {}) {
  const { step = "any", least = 0, most } = look;
  const input = h("input", { name, type: "number", value, step, min: least, max: most, autocomplete: "off" });
  return field(name, input, look, () => {
    if (Number.isNaN(input.valueAsNumber)) throw new Wrong(name, "notNumber");
    return input.valueAsNumber;
  });
}

export function choice(name, values, value, look = {}) {
  const { words = (one) => one } = look;
  const input = h("select", { name }, ...values.map((one) => worded("option", words(one), { value: one, selected: one === value })));
  return field(name, input, look, () => input.value);
}

export function check(name, value, { word = name, hint } = {}) {
  const input = h("input", { name, type: "checkbox", checked: value });
  const { note, wrong, mark } = noted(input, hint);
  const element = h("div", { class: "field" }, h("label", { class: "check" }, input, worded("span", word)), note, wrong);
  return { name, element, input, read: () => input.checked, mark };
}

// What was said, by the fields' names; everything that is wrong is told at once.
function said(fields) {
  const found = {};
  const wrongs = [];
  for (const one of fields) {
    try {
      found[one.name] = one.read();
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      wrongs.push(error);
    }
  }
  if (wrongs.length) throw Object.assign(wrongs[0], { others: wrongs.slice(1) });
  return found;
}

// `send` gets what was said by the fields' names; `close` is called when nothing is to be sent. `gone` is what a 404 means.
export function form({ title, name = "", fields, word = "save", gone, send, close }) {
  let failure = null;
  let isChanged = false;
  const state = h("p", { class: "wrong", role: "alert" });
  const submit = worded("button", word, { type: "submit", class: "main" });
  const heading = h("h3", {}, worded("span", title), name ? `: ${name}` : "");
  const element = h(
    "form", { class: "editor", novalidate: true, oninput: () => { isChanged = true; }, onsubmit: attempt },
    heading, ...fields.map((one) => one.element), state, h("div", { class: "buttons" }, submit, worded("button", "cancel", { type: "button", onclick: close })),
  );

  function retell() {
    const { text: sentence, fields: wrong } = failure ? explained(failure, gone) : { text: "", fields: {} };
    // The same sentence is not said again.
    if (state.textContent !== sentence) state.textContent = sentence;
    for (const one of fields) one.mark(wrong[one.name] ?? "");
    return fields.find((one) => wrong[one.name]);
  }

  async function attempt(event) {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    failure = null;
    retell();
    try {
      await send(said(fields));
    } catch (error) {
      failure = meet(error);
    } finally {
      submit.disabled = false;
    }
    if (failure) (retell()?.input ?? submit).focus();
  }

  const focus = () => (fields.find((one) => !one.input.disabled)?.input ?? submit).focus();
  return { element, retell, focus, isChanged: () => isChanged, fail(error) { failure = meet(error); retell(); } };
}
