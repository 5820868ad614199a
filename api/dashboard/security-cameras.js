// The cameras: how each is watched and what is not heard of it; added, changed, muted, deleted.

import { h } from "./dom.js";
import { t } from "./language.js";
import { call } from "./railway-ask.js";
import { check, choice, form, number, text } from "./security-form.js";
import { hours, hoursInWords } from "./security-hours.js";
import { exists, part } from "./security-part.js";
import { Wrong } from "./security-refusals.js";
import { count, decimal, moment } from "./security-words.js";

const ROOT = "/v1/security/cameras";
const KINDS = ["all", "deviance", "threat"];
const NEW = { name: "", location: "", device_id: null, source: null, deviance: true, deviance_on: 0.5, deviance_off: 0.25, faces: true, schedule: [] };
const addressOf = (id, more = "") => `${ROOT}/${encodeURIComponent(id)}${more}`;
const kindWord = (kind) => `mute_${kind}`;

export const cameras = part("cameras", {
  url: ROOT, empty: "noCameras", gone: "noCamera", idOf: (one) => one.camera_id, draw,
  facts: ({ items, zone }) => [`${count(items.length)} ${t("entries")}`, zone ? `${t("timesOf")} ${zone}` : ""].filter(Boolean).join(" · "),
});

function draw(camera) {
  const { camera_id: id } = camera;
  const key = (word) => ({ type: "button", "data-key": `${id} ${word}` });
  return [
    h("div", {}, h("h3", {}, camera.name || id), h("p", {}, [camera.location, id].filter(Boolean).join(" · ")), chips(camera)),
    h(
      "div", { class: "acts" },
      h("button", { ...key("edit"), onclick: () => change(id) }, t("edit")),
      h("button", { ...key("muteCamera"), onclick: () => mute(camera) }, t("muteCamera")),
      ...camera.mutes.map(({ kind }) => h("button", { ...key(`hear ${kind}`), onclick: () => hear(id, kind) }, camera.mutes.length > 1 ? `${t("hear")}: ${t(kindWord(kind))}` : t("hear"))),
      h("button", { ...key("remove"), class: "danger", onclick: () => remove(camera) }, t("remove")),
    ),
  ];
}

function chips(camera) {
  const chip = (text, tone) => h("span", { class: "chip", "data-tone": tone }, text);
  const scores = `${t("watchDeviance")}: ${decimal(camera.deviance_on)} / ${decimal(camera.deviance_off)}`;
  const watched = [camera.deviance ? chip(scores) : null, camera.faces ? chip(t("watchFaces")) : null].filter(Boolean);
  const muted = camera.mutes.map(({ kind, until }) => chip(`${t("muted")}: ${t(kindWord(kind))}, ${until ? `${t("until")} ${moment(until)}` : t("forever")}`, "bad"));
  return h("div", { class: "chips" }, ...(watched.length ? watched : [chip(t("watchNothing"), "bad")]), chip(hoursInWords(camera.schedule)), ...muted);
}

const settings = (of) => [
  text("name", of.name, { needed: true, word: "cameraName" }),
  text("location", of.location, { empty: "" }),
  check("deviance", of.deviance, { word: "watchDeviance" }),
  check("faces", of.faces, { word: "watchFaces" }),
  number("deviance_on", of.deviance_on, { step: 0.05, most: 1, hint: "onHint" }),
  number("deviance_off", of.deviance_off, { step: 0.05, most: 1, hint: "offHint" }),
  text("device_id", of.device_id, { hint: "deviceHint" }),
  text("source", of.source, { hint: "sourceHint" }),
  hours("schedule", of.schedule),
];

const put = (id, said) => call("PUT", addressOf(id), said);

async function change(id) {
  const found = await cameras.act(id, async () => (await call("GET", addressOf(id))).data);
  if (!found) return;
  const send = async (said) => {
    await put(id, said);
    await cameras.finished("saved");
  };
  cameras.edit(id, form({ title: "editCamera", name: found.name || id, fields: settings(found), gone: "noCamera", send, close: cameras.close }));
}

export function addCamera() {
  const fields = [text("camera_id", "", { needed: true, hint: "cameraIdHint", wide: true }), ...settings(NEW)];
  const send = async ({ camera_id: id, ...said }) => {
    if (/[/\\]|^\.\.?$/.test(id)) throw new Wrong("camera_id", "badId");
    if (await exists(addressOf(id))) throw new Wrong("camera_id", "knownCamera");
    await put(id, said);
    await cameras.finished("saved");
  };
  cameras.edit(null, form({ title: "addCamera", fields, word: "add", send, close: cameras.close }));
}

function mute({ camera_id: id, name }) {
  const minutes = number("minutes", 30, { step: 1, most: 525600 });
  const always = check("forever", false, { word: "mutedForever" });
  always.input.onchange = () => { minutes.input.disabled = always.input.checked; };
  const kind = choice("kind", KINDS, "all", { word: "muteWhat", words: kindWord });
  // What is left empty is not for ever: only the box says so.
  const fields = [kind, { ...minutes, read: () => (always.input.checked ? null : minutes.read()) }, always];
  const send = async (said) => {
    await call("POST", addressOf(id, "/mute"), { kind: said.kind, minutes: said.minutes });
    await cameras.finished("saved");
  };
  cameras.edit(id, form({ title: "muteCamera", name: name || id, fields, word: "muteCamera", gone: "noCamera", send, close: cameras.close }));
}

async function hear(id, kind) {
  const answer = await cameras.act(id, () => call("POST", addressOf(id, "/mute"), { kind, minutes: 0 }));
  if (answer) await cameras.done("heardAgain");
}

async function remove({ camera_id: id, name }) {
  if (!confirm(`${t("sureCamera")} ${name || id}`)) return;
  const answer = await cameras.act(id, () => call("DELETE", addressOf(id)));
  if (answer) await cameras.done("removed");
}
