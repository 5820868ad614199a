// The list: dialogues of the day or of all days, found by words, offer and quality; found words are marked.

import { address, ask } from "./sales-ask.js";
import { byId, fill, h, say } from "./dom.js";
import { category, clock, count, dayAndClock, t } from "./sales-words.js";

let rows = [];
let next = null;

export async function load(chosen, signal) {
  const days = chosen.allDays ? {} : { from: chosen.day };
  const words = { text: chosen.text || null, attempted: chosen.attempted || null, min_quality: chosen.quality || null };
  const answer = await ask(address("/v1/sales/dialogues", { ...days, ...words, point: chosen.point, limit: 50 }), signal);
  rows = answer.data.dialogues;
  next = answer.next;
}

async function loadMore() {
  const answer = await ask(next);
  rows = [...rows, ...answer.data.dialogues];
  next = answer.next;
}

export function draw(chosen, open, again) {
  byId("list-count").textContent = rows.length ? `${count(rows.length)}${next ? "+" : ""}` : "";
  if (!rows.length) {
    say(byId("list"), "empty", t("emptyList"));
    return;
  }
  const scroll = byId("list").querySelector(".rows")?.scrollTop ?? 0;
  const list = h("ul", { class: "rows" }, ...rows.map((row) => h("li", {}, button(row, chosen, open))));
  const more = next ? h("button", { type: "button", class: "more", onclick: () => loadMore().then(again, again) }, t("more")) : null;
  fill(byId("list"), list, more);
  list.scrollTop = scroll;
}

export function chips(row) {
  const chip = (kind, text) => h("span", { class: "chip", "data-kind": kind }, text);
  const done = row.analysis_status === "DONE";
  return [
    row.cut === "OPEN" ? chip("OPEN", t("OPEN")) : null,
    row.asr_status === "FAILED" ? chip("FAILED", t("FAILED")) : null,
    done ? chip(row.attempted, t(row.attempted)) : row.asr_status === "DONE" ? chip(row.analysis_status, t(row.analysis_status)) : null,
    done ? chip("quality", "★".repeat(row.quality_score) + "☆".repeat(3 - row.quality_score)) : null,
    done && row.attempted === "yes" ? chip(row.customer_reaction, t(row.customer_reaction)) : null,
    ...(done ? [...new Set(row.categories)].map((name) => chip("category", category(name))) : []),
    row.review_status === "NONE" ? null : chip(row.review_status, t(row.review_status)),
  ];
}

function button(row, chosen, open) {
  const text = row.snippet?.length
    ? row.snippet.map((item) => (item.hit ? h("mark", {}, item.text) : item.text))
    : [row.text_forgotten ? t("forgotten") : row.text_snippet || (row.text_snippet === "" ? t("noSpeech") : t("noText"))];
  const time = chosen.allDays ? dayAndClock(row.start_ts) : clock(row.start_ts);
  return h(
    "button",
    { type: "button", class: "session", "data-key": row.dialogue_id, "aria-current": String(row.dialogue_id === chosen.dialogue), onclick: () => open(row.dialogue_id) },
    h("span", { class: "line" }, h("b", {}, time), h("small", {}, row.point_name ?? row.point_id.slice(0, 8))),
    h("span", { class: "row-text" }, ...text),
    h("span", { class: "chips" }, ...chips(row)),
  );
}
