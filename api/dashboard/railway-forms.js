// One dialog for every form: fields by their kinds, the server's refusal beside them, nothing lost until it is done.

import { byId, fill, h } from "./dom.js";
import { RIGHTS } from "./railway-lists.js";
import { t } from "./railway-words.js";

const TYPES = { text: "text", number: "number", password: "password", time: "datetime-local", picture: "file" };

export function input(name, kind, value = "", optional = false) {
  const more = { name, required: !optional, "aria-label": t(name) };
  if (Array.isArray(kind)) return h("select", more, ...kind.map((one) => h("option", { value: one }, t(one))));
  if (kind === "long") return h("textarea", more, value);
  const steps = kind === "time" ? { step: 1 } : kind === "number" ? { step: 1 } : {};
  const files = kind === "picture" ? { accept: "image/jpeg,image/png" } : { value };
  return h("input", { ...more, ...steps, ...files, type: TYPES[kind], autocomplete: kind === "password" ? "new-password" : "off" });
}

function field([name, kind, mark]) {
  if (kind === "rights")
    return h("div", {}, ...RIGHTS.map((right) => h("label", { class: "check" }, h("input", { type: "checkbox", name: right }), t(right))));
  const optional = mark === "?";
  const note = [kind === "picture" ? t("pictureNote") : "", optional ? t("optional") : ""].filter(Boolean).join(", ");
  return h("label", {}, h("span", {}, t(name)), input(name, kind, "", optional), note ? h("small", {}, note) : null);
}

// What was said in a form, as the server takes it: times are UTC, a picture is base64; what is empty is left out.
export async function said(form, fields) {
  const found = {};
  for (const [name, kind] of fields) {
    if (kind === "rights") found[name] = RIGHTS.filter((right) => form.elements[right].checked);
    else if (kind === "picture") {
      const file = form.elements[name].files[0];
      if (file) found[name] = await base64(file);
    } else {
      const text = form.elements[name].value.trim();
      if (text) found[name] = kind === "time" ? utc(text) : kind === "number" ? Number(text) : text;
    }
  }
  return found;
}

export const utc = (text) => (/[zZ]$|[+-]\d\d:\d\d$/.test(text) ? text : `${text.length === 16 ? `${text}:00` : text}Z`);

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}

// Asks; `send` gets what was said and throws what the dialog has to tell.
export function openForm({ title, facts = "", fields = [], word, danger = false }, send, explain) {
  const dialog = byId("dialog");
  byId("dialog-title").textContent = title;
  byId("dialog-facts").textContent = facts;
  fill(byId("fields"), ...fields.map(field));
  byId("submit").textContent = word;
  byId("submit").classList.toggle("danger", danger);
  byId("dialog-state").hidden = true;
  byId("cancel").onclick = () => dialog.close();
  byId("form").onsubmit = async (event) => {
    event.preventDefault();
    byId("submit").disabled = true;
    try {
      await send(await said(byId("form"), fields));
      dialog.close();
    } catch (error) {
      byId("dialog-state").textContent = explain(error);
      byId("dialog-state").hidden = false;
    } finally {
      byId("submit").disabled = false;
    }
  };
  dialog.showModal();
}
