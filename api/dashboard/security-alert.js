// One alert as a card: its picture, who and where, and what can be done about it. All of it is text, never markup.

import { h } from "./dom.js";
import { count, moment, t } from "./security-words.js";

const NEXT = { open: ["acknowledge", "escalate", "resolve"], acknowledged: ["escalate", "resolve"], escalated: ["resolve"], resolved: [] };

export function card(alert, details, acts) {
  const { alert_id: id, kind, status, muted } = alert;
  return h(
    "li", { class: "alert", "data-id": id, "data-kind": kind, "data-status": status, "data-muted": String(muted) },
    picture(alert, acts),
    h("div", {}, h("h3", {}, t(`${kind}Title`)), person(alert), where(alert), chips(alert), alert.note ? h("p", {}, `“${alert.note}”`) : null),
    buttons(alert, details, acts),
    details ? more(details) : null,
  );
}

function picture(alert, acts) {
  const { frame } = alert.evidence;
  const box = h("figure", {}, frame ? null : t("noFrame"));
  if (frame) acts.show(frame).then((url) => box.replaceChildren(url ? h("img", { src: url, alt: `${t("frameOf")} ${name(alert)}` }) : t("noFrame")));
  return box;
}

const name = (alert) => alert.camera.name || alert.camera.camera_id;

function person(alert) {
  if (!alert.person) return null;
  return h("p", { class: "who" }, h("b", {}, alert.person.name ?? t("unknownPerson")), alert.level ? ` · ${t("level")}: ${t(alert.level)}` : "");
}

function where(alert) {
  const times = alert.end_at && alert.end_at !== alert.start_at ? `${moment(alert.start_at)} – ${moment(alert.end_at)}` : moment(alert.start_at);
  return h("p", {}, [name(alert), alert.camera.location, times].filter(Boolean).join(" · "));
}

function chips(alert) {
  const people = alert.evidence.participants?.length ?? 0;
  const tone = { open: "bad", resolved: "good" }[alert.status];
  const one = (text, mood) => h("span", { class: "chip", "data-tone": mood }, text);
  return h(
    "div", { class: "chips" }, one(alert.settled_by ? `${t(alert.status)} · ${t("by")} ${alert.settled_by}` : t(alert.status), tone),
    one(`${t("score")} ${count(alert.score)}`),
    alert.kind === "threat" ? one(`${t("seenTimes")} ${count(alert.sightings)}`) : null,
    people ? one(`${t("participants")} ${count(people)}`) : null,
    alert.kind === "deviance" && !alert.end_at ? one(t("going"), "bad") : null,
    alert.muted ? one(t("muted")) : null,
  );
}

function buttons(alert, details, acts) {
  const settle = NEXT[alert.status].map((verb, n) => button(verb, () => acts.settle(alert, verb), n ? verb === "escalate" && "danger" : "main", alert));
  const entry = alert.person ? button("entry", () => acts.entry(alert), false, alert) : null;
  return h("div", { class: "acts" }, ...settle, button("mute", () => acts.mute(alert), false, alert), button(details ? "hide" : "details", () => acts.open(alert), false, alert), entry);
}

const button = (word, act, look, alert) => h("button", { type: "button", class: look || undefined, "data-key": `${alert.alert_id} ${word}`, onclick: act }, t(word));

function more(details) {
  const { person, model, evidence, events } = details;
  const rows = [];
  if (person) {
    const { ticket, watched } = person;
    const seat = ticket && `${t("train")} ${ticket.train_number}, ${t("wagon")} ${ticket.wagon_number}, ${t("place")} ${ticket.place_number}${ticket.used ? `, ${t("used")}` : ""}`;
    rows.push(["reason", watched?.reason], ["instruction", watched?.instruction], ["ticket", seat || t("noTicket")], ["distance", evidence.distance]);
  }
  rows.push(["model", model]);
  const told = events.map((one) => `${moment(one.at)} ${t(one.event)}${one.details.verdict ? `: ${t(one.details.verdict)}` : ""}${one.by ? ` · ${t("by")} ${one.by}` : ""}`);
  const list = rows.filter(([, value]) => value !== undefined && value !== null).flatMap(([word, value]) => [h("dt", {}, t(word)), h("dd", {}, String(value))]);
  return h("div", { class: "details" }, h("dl", {}, ...list, h("dt", {}, t("history")), h("dd", {}, ...told.map((line) => h("div", {}, line)))));
}
