// Makes elements out of text only: what a device named itself never becomes markup.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function svg(tag, properties, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

export const byId = (id) => document.getElementById(id);

// Replaces the content of an element, and gives the keyboard back to the button it was on.
export function fill(target, ...children) {
  const held = target.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  target.replaceChildren(...children.filter(Boolean));
  if (held === undefined) return;
  for (const one of target.querySelectorAll("[data-key]")) if (one.dataset.key === held) one.focus({ preventScroll: true });
}

// A state in words: loading, empty or error, with a way to try again.
export function say(target, kind, text, retry, retryText) {
  const button = retry ? h("button", { type: "button", onclick: retry }, retryText) : null;
  fill(target, h("div", { class: "state", "data-kind": kind, role: kind === "error" ? "alert" : "status" }, text, button));
}
