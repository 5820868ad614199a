// Puts the sales page together: signing in, what is chosen lives in the address, what changes comes live.

import { Refusal, ask, hasToken, isSignedIn, learnSession, signIn, signOut } from "./sales-ask.js";
import * as day from "./sales-day.js";
import * as dialogue from "./sales-dialogue.js";
import { byId, fill, h, say } from "./dom.js";
import { follow } from "./live.js";
import { wireFrame } from "./page-frame.js";
import * as list from "./sales-list.js";
import { t, today } from "./sales-words.js";

let chosen = fromAddress();
let asking = { list: new AbortController(), dialogue: new AbortController() };
let pulse = "connecting";
let points = [];
let following = false;

function fromAddress() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const text = (name) => hash.get(name) ?? "";
  const wanted = /^\d{4}-\d\d-\d\d$/.test(text("day")) ? text("day") : today();
  return { day: wanted, point: text("point") || null, text: text("text"), attempted: text("attempted"), quality: text("quality"), allDays: hash.has("allDays"), dialogue: text("dialogue") || null };
}

function choose(change) {
  chosen = { ...chosen, ...change };
  const kept = Object.entries(chosen).filter(([, value]) => value);
  history.pushState(null, "", `#${new URLSearchParams(kept.map(([name, value]) => [name, value === true ? "1" : value]))}`);
  drawControls();
}

// Runs one card: loads and draws, or says in the card what is the matter.
async function card(target, work, again) {
  if (!target.hasChildNodes()) say(target, "loading", t("loading"));
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refusal)) console.error(error);
    const kind = error instanceof Refusal ? error.kind : "failed";
    if (kind === "unauthorized") {
      signOut();
      drawDoor(t("unauthorized"));
    } else say(target, "error", error.message === "404" ? t("gone") : t(kind), again, t("retry"));
  }
}

const showDay = () => card(byId("figures"), async () => {
  await day.load(chosen);
  day.draw();
}, showDay);

function showList() {
  asking.list.abort();
  asking.list = new AbortController();
  return card(byId("list"), async () => {
    await list.load(chosen, asking.list.signal);
    drawList();
  }, showList);
}

const drawList = () => list.draw(chosen, open, drawList);

function open(id) {
  choose({ dialogue: id });
  drawList();
  fill(byId("dialogue"));
  showDialogue();
}

function showDialogue() {
  asking.dialogue.abort();
  asking.dialogue = new AbortController();
  if (!chosen.dialogue) return dialogue.clear();
  return card(byId("dialogue"), async () => {
    await dialogue.load(chosen.dialogue, asking.dialogue.signal);
    dialogue.draw();
  }, showDialogue);
}

async function showPoints() {
  try {
    points = (await ask("/api/v1/analytics/points?days=365")).data.points;
  } catch {
    points = [];
  }
  drawControls();
}

function showAll() {
  showDay();
  showList();
  showDialogue();
}

function options(id, entries, value) {
  fill(byId(id), ...entries.map(([key, name]) => h("option", { value: key }, name)));
  byId(id).value = value ?? "";
}

function drawControls() {
  byId("day").value = chosen.day;
  byId("all-days").checked = chosen.allDays;
  if (document.activeElement !== byId("text")) byId("text").value = chosen.text;
  const known = points.map((point) => [point.point_id, point.name ?? point.point_id.slice(0, 8)]);
  if (chosen.point && !known.some(([id]) => id === chosen.point)) known.push([chosen.point, chosen.point.slice(0, 8)]);
  options("point", [["", t("allPoints")], ...known], chosen.point);
  options("attempted", [["", `${t("attempted")}: ${t("any")}`], ...["yes", "no", "uncertain"].map((word) => [word, t(word)])], chosen.attempted);
  options("quality", [["", `${t("quality")}: ${t("any")}`], ...["1", "2", "3"].map((score) => [score, `≥ ${score}`])], chosen.quality);
}

function shifted(days) {
  const date = new Date(`${chosen.day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + days);
  return date.toISOString().slice(0, 10);
}

function wireControls() {
  const goTo = (change) => {
    choose(change);
    showDay();
    showList();
  };
  const narrow = (change) => {
    choose(change);
    showList();
  };
  byId("earlier").onclick = () => goTo({ day: shifted(-1) });
  byId("later").onclick = () => goTo({ day: shifted(1) });
  byId("day").onchange = () => byId("day").value && goTo({ day: byId("day").value });
  byId("point").onchange = () => goTo({ point: byId("point").value || null });
  byId("attempted").onchange = () => narrow({ attempted: byId("attempted").value });
  byId("quality").onchange = () => narrow({ quality: byId("quality").value });
  byId("all-days").onchange = () => narrow({ allDays: byId("all-days").checked });
  byId("filters").onsubmit = (event) => {
    event.preventDefault();
    narrow({ text: byId("text").value.trim() });
  };
  let typing = null;
  byId("text").oninput = () => {
    clearTimeout(typing);
    typing = setTimeout(() => narrow({ text: byId("text").value.trim() }), 350);
  };
}

// However fast changes come, everything is loaded again at most once in two seconds, and never twice at a time.
let running = false;
let wanted = false;
async function refresh() {
  wanted = true;
  if (running || document.hidden || !isSignedIn()) return;
  running = true;
  while (wanted) {
    wanted = false;
    await Promise.all([showDay(), showList(), showDialogue()]);
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  running = false;
}

function onEvent(event, data) {
  if (event === "reset" || data.changes?.some((change) => change.model === "sales_dialogues")) refresh();
}

function drawDoor(problem = "") {
  const inside = isSignedIn();
  byId("sign-in").hidden = inside;
  byId("stage").hidden = !inside;
  byId("sign-out").hidden = !hasToken();
  byId("pulse").hidden = !inside;
  byId("sign-in-state").hidden = !problem;
  byId("sign-in-state").textContent = problem;
  byId("sign-in-state").dataset.kind = "error";
}

function enter() {
  drawDoor();
  showPoints();
  showAll();
  if (following) return;
  following = true;
  follow(onEvent, (state) => {
    pulse = state;
    drawPulse();
  });
}

function drawPulse() {
  byId("pulse").dataset.state = pulse;
  byId("pulse").textContent = t(pulse);
}

function redraw() {
  drawPulse();
  drawControls();
  if (isSignedIn()) showAll();
}

function wireDoor() {
  byId("sign-in").onsubmit = async (event) => {
    event.preventDefault();
    const said = { token: byId("admin-token").value.trim(), name: byId("user-name").value.trim(), password: byId("password").value };
    try {
      await signIn(said);
      byId("sign-in").reset();
      enter();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      drawDoor(t(error.kind));
    }
  };
  byId("sign-out").onclick = () => {
    signOut();
    for (const id of ["figures", "list", "dialogue"]) fill(byId(id));
    dialogue.clear();
    drawDoor();
  };
}

async function start() {
  wireFrame(redraw);
  addEventListener("popstate", () => {
    chosen = fromAddress();
    drawControls();
    if (isSignedIn()) showAll();
  });
  document.addEventListener("visibilitychange", () => !document.hidden && refresh());
  wireControls();
  wireDoor();
  drawPulse();
  drawControls();
  await learnSession();
  if (isSignedIn()) enter();
  else drawDoor();
}

start();
