// Puts the page together: what is chosen lives in the address, what changes comes live, each card says how it fares.

import { Refusal, address, keepToken } from "./ask.js";
import * as curve from "./curve.js";
import { byId, fill, h, say } from "./dom.js";
import { follow } from "./live.js";
import * as moments from "./moments.js";
import { wireFrame } from "./page-frame.js";
import * as persons from "./persons.js";
import * as plane from "./plane.js";
import * as sessions from "./sessions.js";
import * as totals from "./totals.js";
import { clock, duration, many, t } from "./words.js";

let chosen = fromAddress();
let asking = new AbortController();
let pulse = "connecting";

function fromAddress() {
  const hash = new URLSearchParams(location.hash.slice(1));
  if (!hash.has("device")) return null;
  const number = (name) => (hash.has(name) ? Number(hash.get(name)) : null);
  const range = hash.has("from") ? [number("from"), number("to")] : null;
  return { device: hash.get("device"), session: hash.get("session") ?? "", person: number("person"), range };
}

function choose(change, replace = false) {
  chosen = { ...chosen, ...change };
  const hash = new URLSearchParams({ device: chosen.device, session: chosen.session });
  if (chosen.person !== null) hash.set("person", chosen.person);
  if (chosen.range) {
    hash.set("from", Math.round(chosen.range[0]));
    hash.set("to", Math.round(chosen.range[1]));
  }
  history[replace ? "replaceState" : "pushState"](null, "", `#${hash}`);
}

// Runs one card: loads and draws, or says in the card what is the matter.
async function card(target, work, again) {
  const plotted = target.classList.contains("js-plotly-plot");
  if (!target.hasChildNodes()) say(target, "loading", t("loading"));
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    const kind = error instanceof Refusal ? error.kind : error.message === "plotly" ? "noPlot" : "failed";
    if (!(error instanceof Refusal) && kind === "failed") console.error(error);
    if (plotted) globalThis.Plotly.purge(target);
    if (kind === "unauthorized") byId("token").hidden = false;
    say(target, "error", t(kind), again, t("retry"));
  }
}

const named = () => sessions.find(chosen.device, chosen.session) ?? { device_id: chosen.device, session_id: chosen.session };

function showSessions() {
  return card(byId("sessions"), async () => {
    await sessions.load();
    const newest = sessions.newest();
    if (!chosen && newest) {
      choose({ device: newest.device_id, session: newest.session_id, person: null, range: null }, true);
      showSession();
    }
    if (!chosen) for (const id of ["persons", "curve", "plane"]) say(byId(id), "empty", t("noSessions"));
    drawSessions();
  }, showSessions);
}

function drawSessions() {
  sessions.draw(chosen, (row) => {
    if (row.device_id !== chosen?.device || row.session_id !== chosen.session) clearPlots();
    choose({ device: row.device_id, session: row.session_id, person: null, range: null });
    showSession();
    drawSessions();
  });
  drawTitle();
}

function clearPlots() {
  for (const id of ["curve", "plane"]) {
    globalThis.Plotly?.purge(byId(id));
    delete byId(id).dataset.wired;
    fill(byId(id));
  }
  fill(byId("persons"));
  fill(byId("moments"));
}

function drawTitle() {
  if (!chosen) {
    byId("session-title").textContent = t("choose");
    return;
  }
  const row = named();
  byId("session-title").textContent = `${row.device_id || "—"} · ${row.session_id || "—"}`;
  byId("session-facts").textContent = row.n_points === undefined ? "" : [
    `${clock(row.min_ms)} – ${clock(row.max_ms)}`, duration(row.max_ms - row.min_ms), many(row.n_persons, "persons"), many(row.n_points, "points"),
  ].join(" · ");
  const query = { device_id: row.device_id, session_id: row.session_id, ...(chosen.person === null ? {} : { session_person_id: chosen.person }) };
  const file = (format, name) => h("a", { href: address("/api/v1/logs", { ...query, format }), download: "" }, name);
  fill(byId("files"), t("download"), file("csv", "CSV"), file("parquet", "Parquet"));
}

function showSession() {
  drawTitle();
  return Promise.all([showPersons().then(showCurve), showPlane()]);
}

function showPersons() {
  return card(byId("persons"), async () => {
    await persons.load(named());
    drawPersons();
  }, showPersons);
}

function drawPersons() {
  persons.draw(chosen.person, (person) => {
    choose({ person, range: null });
    drawPersons();
    drawTitle();
    showCurve();
  });
}

function showCurve() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  return card(byId("curve"), async () => {
    const session = named();
    await Promise.all([
      curve.load(session, chosen.person, chosen.range, signal),
      moments.load(session, chosen.person, chosen.range, signal),
    ]);
    if (signal.aborted) return;
    moments.draw(chosen.person, lookCloser);
    drawTools();
    await curve.draw(moments.list(), zoom);
  }, showCurve);
}

function zoom(range) {
  choose({ range: range && range[1] - range[0] < 200 ? [range[0] - 100, range[0] + 100] : range });
  drawTools();
  showCurve();
}

function lookCloser(moment) {
  const end = moment.end_ms ?? moment.peak_ms;
  const margin = Math.max(5000, (end - moment.start_ms) * 1.5);
  choose({ person: moment.session_person_id, range: [moment.start_ms - margin, end + margin] });
  drawPersons();
  drawTitle();
  showCurve();
}

function drawTools() {
  const scaled = (factor, shift) => () => {
    const [from, to] = chosen.range ?? curve.span() ?? [0, 0];
    const middle = (from + to) / 2 + (to - from) * shift;
    zoom([middle - ((to - from) * factor) / 2, middle + ((to - from) * factor) / 2]);
  };
  const tool = (sign, key, onclick, disabled = !curve.span()) =>
    h("button", { type: "button", "data-key": key, "aria-label": t(key), title: t(key), onclick, disabled }, sign);
  fill(
    byId("zoom"),
    tool("←", "earlier", scaled(1, -0.5)), tool("→", "later", scaled(1, 0.5)),
    tool("+", "zoomIn", scaled(0.5, 0)), tool("−", "zoomOut", scaled(2, 0)),
    tool(t("all"), "all", () => zoom(null), !chosen.range),
  );
}

function showPlane() {
  return card(byId("plane"), async () => {
    await plane.load(named());
    await plane.draw();
  }, showPlane);
}

function showTotals() {
  return card(byId("totals"), async () => {
    await totals.load();
    totals.draw(showTotals);
  }, showTotals);
}

function refreshAll() {
  showSessions();
  showTotals();
  if (chosen) showSession();
}

// However fast changes come, a card is loaded again at most once a second, and never twice at a time.
function paced(work) {
  let running = false;
  let wanted = false;
  return async () => {
    wanted = true;
    if (running || document.hidden) return;
    running = true;
    while (wanted) {
      wanted = false;
      await work();
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    running = false;
  };
}

const soon = { sessions: paced(showSessions), session: paced(showSession), curve: paced(showCurve), totals: paced(showTotals), all: paced(refreshAll) };
const concerns = (change) => change.many || change.sessions?.some(([device, session]) => device === chosen?.device && session === chosen.session);

function onEvent(event, data) {
  if (event === "reset") soon.all();
  for (const change of data.changes ?? []) {
    if (change.model === "person_emotions") soon.totals();
    if (change.model === "emotion_logs") soon.sessions();
    if (change.model === "emotion_logs" && concerns(change)) soon.session();
    if (change.model === "emotion_moments" && concerns(change)) soon.curve();
  }
  if (pulse === "live" && data.changes) beat();
}

function beat() {
  byId("pulse").dataset.state = "beat";
  setTimeout(drawPulse, 500);
}

function drawPulse() {
  byId("pulse").dataset.state = pulse;
  byId("pulse").textContent = t(pulse);
}

function drawControls() {
  drawPulse();
  const fold = byId("fold");
  fold.textContent = t(fold.getAttribute("aria-expanded") === "true" ? "fold" : "unfold");
}

function start() {
  wireFrame(() => { drawControls(); refreshAll(); }, refreshAll);
  drawControls();
  drawTitle();
  for (const id of ["persons", "curve", "plane", "totals", "sessions"]) say(byId(id), "loading", t("loading"));
  byId("fold").onclick = () => {
    const open = byId("fold").getAttribute("aria-expanded") !== "true";
    byId("fold").setAttribute("aria-expanded", String(open));
    byId("sessions-body").hidden = !open;
    drawControls();
  };
  byId("filter").oninput = drawSessions;
  byId("token").onsubmit = (event) => {
    event.preventDefault();
    keepToken(byId("token-text").value);
    byId("token").hidden = true;
    refreshAll();
  };
  addEventListener("popstate", () => {
    chosen = fromAddress();
    clearPlots();
    refreshAll();
  });
  document.addEventListener("visibilitychange", () => !document.hidden && soon.all());
  refreshAll();
  follow(onEvent, (state) => {
    pulse = state;
    drawPulse();
  });
}

start();
