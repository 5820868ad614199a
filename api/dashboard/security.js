// Puts the page of security together: the list once, then the live feed from where the list ended.

import { byId, fill, h, say } from "./dom.js";
import { Refusal, address, call, file, isSignedIn, keepToken, signOut } from "./railway-ask.js";
import { card } from "./security-alert.js";
import { follow } from "./security-feed.js";
import { count, switchLanguage, t, translatePage } from "./security-words.js";

const ROOT = "/v1/security";
const FILTERS = { all: {}, deviance: { kind: "deviance" }, threat: { kind: "threat" }, unsettled: { status: "open" } };
const MOST = 1000;
let filter = "all";
let alerts = new Map();
let older = null;
let stop = null;
const opened = new Map();
const pictures = new Map();

const fits = (alert) => Object.entries(FILTERS[filter]).every(([name, value]) => alert[name] === value);

async function load() {
  stop?.();
  byId("sign-out").hidden = !isSignedIn();
  if (!alerts.size) say(byId("state"), "loading", t("loading"));
  try {
    const { data, next } = await call("GET", address(`${ROOT}/alerts`, { limit: 50, ...FILTERS[filter] }));
    alerts = new Map(data.items.map((one) => [one.alert_id, one]));
    older = next;
    draw();
    stop = follow(data.newest, { heard, line, refused: () => askForToken(isSignedIn()) });
  } catch (error) {
    line(false);
    say(byId("state"), "error", explain(error), load, t("retry"));
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
  show: (frame) => {
    if (!pictures.has(frame)) pictures.set(frame, file(`${ROOT}/frames/${frame}`).catch(() => null));
    return pictures.get(frame);
  },
};

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    tell(explain(error), "error");
  }
}

let telling = null;
function tell(text, kind = "done") {
  byId("said").hidden = false;
  byId("said").dataset.kind = kind;
  byId("said").textContent = text;
  clearTimeout(telling);
  telling = setTimeout(() => { byId("said").hidden = true; }, 6000);
}

function explain(error) {
  if (!(error instanceof Refusal)) {
    console.error(error);
    return t("failed");
  }
  if (error.kind === "unauthorized") askForToken(isSignedIn());
  return error.kind === "failed" ? `${t("failed")} ${error.message}` : t(error.kind);
}

function askForToken(wasWrong) {
  line(false);
  byId("token").hidden = false;
  byId("token-state").textContent = wasWrong ? t("wrongToken") : "";
}

function drawFrame() {
  translatePage();
  for (const [id, text, name] of [["language", t("other"), t("otherName")], ["theme", "◐", t("otherTheme")]]) {
    byId(id).textContent = text;
    byId(id).setAttribute("aria-label", name);
  }
  line(byId("line").dataset.on === "true");
}

function start() {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  byId("theme").onclick = () => {
    const root = document.documentElement;
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  };
  byId("language").onclick = () => { switchLanguage(); drawFrame(); draw(); };
  byId("token").onsubmit = (event) => {
    event.preventDefault();
    keepToken(byId("token-text").value.trim());
    byId("token").reset();
    byId("token").hidden = true;
    load();
  };
  byId("sign-out").onclick = () => {
    signOut();
    alerts = new Map();
    opened.clear();
    pictures.clear();
    fill(byId("list"));
    load();
  };
  byId("more").onclick = loadOlder;
  drawFrame();
  load();
}

start();
