// Puts the page of security together: the list once, then the live feed from where the list ended.

import { byId, fill, h, say } from "./dom.js";
import { wireFrame } from "./page-frame.js";
import { askForToken, drawSignOut, tell, wireToken } from "./page-token.js";
import { Refusal, address, call, file } from "./railway-ask.js";
import { card } from "./security-alert.js";
import { addCamera, cameras } from "./security-cameras.js";
import { follow } from "./security-feed.js";
import { explained, meet } from "./security-refusals.js";
import { addWatched, openWatched, watched } from "./security-watched.js";
import { count, t } from "./security-words.js";

const ROOT = "/v1/security";
const FILTERS = { all: {}, deviance: { kind: "deviance" }, threat: { kind: "threat" }, unsettled: { status: "open" } };
const MOST = 1000;
const PARTS = { alerts: null, cameras, watched };
let shown = null;
let filter = "all";
let alerts = new Map();
let older = null;
let stop = null;
const opened = new Map();
const pictures = new Map();

const fits = (alert) => Object.entries(FILTERS[filter]).every(([name, value]) => alert[name] === value);

async function load() {
  stop?.();
  drawSignOut();
  if (!alerts.size) say(byId("state"), "loading", t("loading"));
  try {
    const { data, next } = await call("GET", address(`${ROOT}/alerts`, { limit: 50, ...FILTERS[filter] }));
    alerts = new Map(data.items.map((one) => [one.alert_id, one]));
    older = next;
    draw();
    stop = follow(data.newest, { heard, line, refused: () => { line(false); askForToken(); } });
  } catch (error) {
    line(false);
    say(byId("state"), "error", explained(meet(error)).text, load, t("retry"));
    if (error instanceof Refusal && ["network", "unavailable"].includes(error.kind)) setTimeout(load, 5000);
  }
}

function heard(event, data) {
  if (event === "reset") return load();
  if (event !== "alert") return undefined;
  alerts.delete(data.alert_id);
  if (fits(data)) alerts = new Map([[data.alert_id, data], ...alerts]);
  if (alerts.size > MOST) alerts.delete([...alerts.keys()].at(-1));
  if (opened.has(data.alert_id)) refresh(data.alert_id);
  return draw();
}

function line(isOn) {
  byId("line").dataset.on = String(isOn);
  byId("line").textContent = t(isOn ? "online" : "offline");
}

function draw() {
  drawFilters();
  // Raised later comes first: what is only dealt with keeps its place.
  const sorted = [...alerts.values()].sort((a, b) => b.raised_at.localeCompare(a.raised_at));
  fill(byId("list"), ...sorted.map((alert) => card(alert, opened.get(alert.alert_id), ACTS)));
  fill(byId("state"));
  if (!sorted.length) say(byId("state"), "empty", t("empty"));
  const waiting = sorted.filter((one) => one.status === "open" && !one.muted).length;
  byId("facts").textContent = `${count(sorted.length)} ${t("entries")} · ${count(waiting)} ${t("waiting")}`;
  document.title = waiting ? `(${waiting}) Sensorium: security` : "Sensorium: security";
  byId("more").hidden = !older;
}

function drawFilters() {
  const press = (name) => { filter = name; alerts = new Map(); load(); };
  fill(byId("filters"), ...Object.keys(FILTERS).map((name) => h("button", { type: "button", "data-key": name, "aria-pressed": String(name === filter), onclick: () => press(name) }, t(name))));
}

async function loadOlder() {
  await attempt(async () => {
    const { data, next } = await call("GET", older);
    older = next;
    for (const one of data.items) if (!alerts.has(one.alert_id)) alerts.set(one.alert_id, one);
    draw();
  });
}

async function refresh(id) {
  await attempt(async () => {
    opened.set(id, (await call("GET", `${ROOT}/alerts/${encodeURIComponent(id)}`)).data);
    draw();
  });
}

const ACTS = {
  settle: (alert, verb) => attempt(async () => {
    const note = verb === "acknowledge" ? null : prompt(t("note"));
    if (note === null && verb !== "acknowledge") return;
    const { data } = await call("POST", `${ROOT}/alerts/${encodeURIComponent(alert.alert_id)}/${verb}`, { note: note || null });
    heard("alert", data);
  }),
  mute: (alert) => attempt(async () => {
    await call("POST", `${ROOT}/cameras/${encodeURIComponent(alert.camera.camera_id)}/mute`, { kind: alert.kind, minutes: 30 });
    tell(t("mutedNow"));
  }),
  open: (alert) => (opened.delete(alert.alert_id) ? draw() : refresh(alert.alert_id)),
  entry: (alert) => {
    goTo("watched");
    openWatched(alert.person.user_id);
  },
  show: (frame) => {
    if (!pictures.has(frame)) pictures.set(frame, file(`${ROOT}/frames/${frame}`).catch(() => null));
    return pictures.get(frame);
  },
};

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    tell(explained(meet(error)).text, "error");
  }
}

// Which part of the page is shown stands in the address; what is configured is read whenever it is turned to.
function show() {
  const wanted = location.hash.slice(1);
  shown = Object.hasOwn(PARTS, wanted) ? wanted : "alerts";
  drawParts();
  PARTS[shown]?.load();
}

function goTo(name) {
  history.pushState(null, "", `#${name}`);
  shown = name;
  drawParts();
}

function drawParts() {
  const press = (name) => { goTo(name); PARTS[name]?.load(); };
  fill(byId("parts"), ...Object.keys(PARTS).map((name) => h("button", { type: "button", "data-key": name, "aria-current": String(name === shown), onclick: () => press(name) }, t(name))));
  for (const name of Object.keys(PARTS)) byId(`part-${name}`).hidden = name !== shown;
}

function redraw() {
  line(byId("line").dataset.on === "true");
  drawParts();
  draw();
  cameras.draw();
  watched.draw();
}

function leave() {
  alerts = new Map();
  for (const kept of [opened, pictures]) kept.clear();
  fill(byId("list"));
  cameras.clear();
  watched.clear();
}

function start() {
  wireFrame(redraw);
  wireToken(() => { load(); PARTS[shown]?.load(); }, leave);
  byId("more").onclick = loadOlder;
  byId("cameras-add").onclick = addCamera;
  byId("watched-add").onclick = addWatched;
  addEventListener("popstate", show);
  line(false);
  show();
  load();
}

start();
