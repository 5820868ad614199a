// The moments of the open person or session, as a strip: a click looks closer; each names the event it came from.

import { address, ask } from "./ask.js";
import { byId, fill, h } from "./dom.js";
import { lastSeen, nameOf } from "./persons.js";
import { clock, duration, signed, t } from "./words.js";

const SHOWN = 40;
let records = [];

export async function load(session, person, range, signal) {
  const query = { device_id: session.device_id, session_id: session.session_id, limit: 500 };
  if (person !== null) query.session_person_id = person;
  if (range) Object.assign(query, { from_ms: Math.floor(range[0]), to_ms: Math.ceil(range[1]) + 1 });
  records = (await ask(address("/api/v1/moments", query), signal)).data.records;
}

export const list = () => records;

export function draw(person, look) {
  const target = byId("moments");
  if (!records.length) {
    fill(target, h("p", { class: "moments-title" }, t("noMoments")));
    return;
  }
  const scroll = target.querySelector(".moments")?.scrollLeft ?? 0;
  const strip = h("div", { class: "moments" }, ...records.slice(-SHOWN).reverse().map((moment) => button(moment, person, look)));
  fill(target, h("p", { class: "moments-title" }, t("momentsHere")), strip);
  strip.scrollLeft = scroll;
}

function open(moment) {
  const seen = lastSeen(moment.session_person_id);
  return seen === null ? t("ongoing") : `${duration(Math.max(0, seen - moment.start_ms))}, ${t("toLastSeen")}`;
}

function button(moment, person, look) {
  const arrow = moment.direction === "UP" ? "▲" : "▼";
  const lasted = moment.end_ms === null ? open(moment) : duration(moment.end_ms - moment.start_ms);
  const whose = person === null ? ` · ${nameOf(moment.session_person_id)}` : "";
  const evidence = `${t("evidence")}: ${moment.topic}/${moment.kafka_partition}@${moment.kafka_offset}`;
  return h(
    "button",
    { type: "button", class: "moment", "data-signal": moment.signal, "data-key": moment.moment_id, title: evidence, onclick: () => look(moment) },
    h("b", {}, `${arrow} ${t(moment.signal.toLowerCase())} ${signed(moment.peak)}`),
    ` ${t(moment.kind)}`,
    h("br"),
    h("small", {}, `${clock(moment.start_ms)} · ${lasted}${whose}`),
  );
}
