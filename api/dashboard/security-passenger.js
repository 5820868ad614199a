// The field that says who: a passenger's id, typed, or found by name in the railway's list of passengers.

import { fill, h } from "./dom.js";
import { t } from "./language.js";
import { address, call } from "./railway-ask.js";
import { text } from "./security-form.js";
import { Wrong, explained, meet } from "./security-refusals.js";
import { count } from "./security-words.js";

const PASSENGERS = "/base_api/v1/admin/users";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const SIZE = 100;
// So many pages are asked for at once, and so many people shown: the list has no search of its own.
const PAGES = 20;
const SHOWN = 10;

const plain = (name) => name.toLowerCase().replaceAll("ё", "е");

export function passenger(name, id) {
  const field = text(name, id, { needed: true, word: "passengerId", hint: "passengerHint", wide: true });
  const found = h("div", { class: "found" });
  const state = h("small", { role: "status" });
  const wanted = h("input", { type: "search", "data-placeholder": "passengerName", placeholder: t("passengerName"), "aria-label": t("passengerName"), autocomplete: "off" });
  const button = h("button", { type: "button", "data-t": "find", onclick: () => look(1, []) }, t("find"));
  // Enter looks for the name; it does not send the form around it.
  wanted.onkeydown = (event) => { if (event.key === "Enter") { event.preventDefault(); look(1, []); } };
  // What is looked for is no part of what is sent.
  wanted.oninput = (event) => event.stopPropagation();
  field.element.append(h("div", { class: "find", role: "search" }, wanted, button), state, found);

  async function look(page, before) {
    const text = plain(wanted.value.trim());
    if (!text) return wanted.focus();
    button.disabled = true;
    state.textContent = t("loading");
    try {
      show(await search(text, page, before));
    } catch (error) {
      state.textContent = [403, 404].includes(error.status) ? t("noPassengers") : explained(meet(error)).text;
    } finally {
      button.disabled = false;
    }
    return undefined;
  }

  function show({ people, next, total }) {
    state.textContent = people.length ? `${t("foundPeople")} ${count(people.length)}` : t(next ? "foundNobodyYet" : "foundNobody");
    if (next) state.textContent += ` · ${t("lookedAt")} ${count((next - 1) * SIZE)} / ${count(total)}`;
    const choose = (one) => {
      field.input.value = one.id;
      field.input.dispatchEvent(new Event("input", { bubbles: true }));
      for (const other of found.querySelectorAll("[data-key]")) other.setAttribute("aria-pressed", String(other.dataset.key === one.id));
    };
    const further = next ? h("button", { type: "button", "data-t": "lookFurther", onclick: () => look(next, people) }, t("lookFurther")) : null;
    const is = (one) => String(one.id === field.input.value.trim());
    fill(found, ...people.map((one) => h("button", { type: "button", "data-key": one.id, "aria-pressed": is(one), onclick: () => choose(one) }, one.name, " ", h("code", {}, one.id))), further);
  }

  const read = () => {
    const said = field.read();
    if (!UUID.test(said)) throw new Wrong(name, "badUuid");
    return said.toLowerCase();
  };
  return { ...field, read };
}

// Who is called so, from a page of the list on, until there are enough of them or many pages were looked at.
async function search(text, from, before) {
  const people = [...before];
  for (let page = from; ; page += 1) {
    const { data } = await call("GET", address(PASSENGERS, { page, size: SIZE }));
    people.push(...data.items.filter((one) => plain(one.name).includes(text)));
    if (page >= data.pages) return { people, next: null, total: data.total };
    if (page + 1 >= from + PAGES || people.length >= before.length + SHOWN) return { people, next: page + 1, total: data.total };
  }
}
