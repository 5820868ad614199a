// Who is in the session: one button a person with a small affect plane, and one for everybody.

import { address, ask } from "./ask.js";
import { byId, fill, h, say, svg } from "./dom.js";
import { count, duration, many, signed, t } from "./words.js";

const SHOWN = 100;
let people = [];
let more = false;

export async function load(session) {
  const answer = await ask(address("/api/v1/persons", { device_id: session.device_id, session_id: session.session_id, limit: 1000 }));
  people = answer.data.sort((a, b) => a.min_ms - b.min_ms);
  more = answer.next !== null;
}

export const one = (id) => people.find((person) => person.session_person_id === id) ?? null;

// A moment that was still open when its person was last seen ends there.
export const lastSeen = (id) => one(id)?.max_ms ?? null;

// A device's own number is shown as it is; a post that carried none has a long negative one: shown as a visitor.
export function nameOf(id) {
  if (id >= 0) return `${t("person")} ${id}`;
  const nth = people.findIndex((person) => person.session_person_id === id) + 1;
  return nth ? `${t("visitor")} ${nth}` : t("visitor");
}

export function draw(chosen, choose) {
  const target = byId("persons");
  if (!people.length) {
    say(target, "empty", t("noPersons"));
    return;
  }
  const scroll = target.scrollLeft;
  const kept = people.filter((person, index) => index >= people.length - SHOWN || person.session_person_id === chosen);
  const total = people.reduce((sum, person) => sum + person.n_points, 0);
  const mean = (name) => people.reduce((sum, person) => sum + person[name] * person.n_points, 0) / (total || 1);
  const everybody = { session_person_id: null, n_points: total, avg_valence: mean("avg_valence"), avg_arousal: mean("avg_arousal") };
  const note = more || kept.length < people.length ? h("span", { class: "facts" }, `… ${count(people.length - kept.length)}${more ? "+" : ""}`) : null;
  fill(target, ...[everybody, ...kept.reverse()].map((person) => button(person, chosen, choose)), note);
  target.scrollLeft = scroll;
}

function button(person, chosen, choose) {
  const id = person.session_person_id;
  const lasted = id === null ? many(people.length, "persons") : duration(person.max_ms - person.min_ms);
  const figures = `${t("valence")} ${signed(person.avg_valence)}, ${t("arousal")} ${signed(person.avg_arousal)}`;
  return h(
    "button",
    { type: "button", class: "person", "data-key": String(id), "aria-pressed": String(id === chosen), title: figures, onclick: () => choose(id) },
    mini(person),
    h("span", {}, h("b", {}, id === null ? t("everybody") : nameOf(id)), h("small", {}, `${lasted} · ${count(person.n_points)}`)),
  );
}

function mini(person) {
  const at = (value) => 18 + Math.max(-1, Math.min(1, value)) * 14;
  return svg(
    "svg",
    { class: "mini", viewBox: "0 0 36 36", "aria-hidden": "true" },
    svg("rect", { x: 1, y: 1, width: 34, height: 34, rx: 9 }),
    svg("path", { d: "M18 4v28M4 18h28" }),
    svg("circle", { cx: at(person.avg_valence), cy: 36 - at(person.avg_arousal), r: 4 }),
  );
}
