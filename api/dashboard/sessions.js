// The list of sessions, newest activity first, page by page.

import { address, ask } from "./ask.js";
import { byId, fill, h, say } from "./dom.js";
import { clock, compact, many, t } from "./words.js";

const PAGE = 50;
let rows = [];
let next = null;
let pages = 1;

const CLOCK_SLACK_MS = 3_600_000;

// A device whose clock is years ahead must not hide everybody else's newest session.
export const newest = () => rows.find((row) => row.max_ms <= Date.now() + CLOCK_SLACK_MS) ?? rows[0] ?? null;
export const find = (device, session) => rows.find((row) => row.device_id === device && row.session_id === session);

export async function load() {
  const found = [];
  let url = address("/api/v1/sessions", { limit: PAGE });
  for (let page = 0; page < pages && url; page += 1) {
    const answer = await ask(url);
    found.push(...answer.data);
    url = answer.next;
  }
  rows = found;
  next = url;
}

export function draw(chosen, choose) {
  const wanted = byId("filter").value.trim().toLowerCase();
  const shown = rows.filter((row) => `${row.device_id} ${row.session_id}`.toLowerCase().includes(wanted));
  const target = byId("sessions");
  if (!shown.length) {
    say(target, "empty", t(rows.length ? "noMatch" : "noSessions"));
    return;
  }
  const list = h("ul", { class: "rows" }, ...shown.map((row) => h("li", {}, button(row, chosen, choose))));
  const scroll = target.querySelector(".rows")?.scrollTop ?? 0;
  fill(target, list, next ? h("button", { type: "button", class: "more", "data-key": "more", onclick: () => more(chosen, choose) }, t("more")) : null);
  list.scrollTop = scroll;
}

function button(row, chosen, choose) {
  const current = row.device_id === chosen?.device && row.session_id === chosen?.session;
  const key = `${row.device_id}\n${row.session_id}`;
  return h(
    "button",
    { type: "button", class: "session", "data-key": key, "aria-current": String(current), onclick: () => choose(row), title: row.device_id },
    h("span", { class: "line" }, h("b", {}, row.device_id || "—"), h("small", {}, clock(row.max_ms))),
    h("span", { class: "line" }, h("span", {}, row.session_id || "—"), h("small", {}, `${many(row.n_persons, "persons")} · ${many(row.n_points, "pts", compact)}`)),
  );
}

async function more(chosen, choose) {
  pages += 1;
  await load();
  draw(chosen, choose);
}
