// One dialogue: its text with the quotes marked, its recording, the verdict and all analyses. A quote plays where it was said.

import { ask, recording } from "./sales-ask.js";
import { byId, fill, h, say } from "./dom.js";
import { chips } from "./sales-list.js";
import { clock, dayAndClock, decimal, seconds, t } from "./sales-words.js";

let one = null;
let sound = { dialogue: null, url: null, error: false };

export async function load(id, signal) {
  one = (await ask(`/v1/sales/dialogues/${id}`, signal)).data;
}

export function clear() {
  one = null;
  byId("dialogue-facts").textContent = "";
  say(byId("dialogue"), "empty", t("choose"));
}

export function draw() {
  if (!one) return clear();
  const length = (new Date(one.end_ts) - new Date(one.start_ts)) / 1000;
  byId("dialogue-facts").textContent = `${dayAndClock(one.start_ts)} · ${seconds(length)} · ${one.point_name ?? one.point_id.slice(0, 8)}`;
  const player = byId("dialogue").querySelector("audio[data-of]");
  const kept = player?.dataset.of === one.dialogue_id ? player : null;
  fill(byId("dialogue"), verdict(), spoken(), listening(kept), segments(), versions(), evidence());
}

function verdict() {
  const state = { ...one, ...one.verdict, analysis_status: one.analysis_status, review_status: one.review_status };
  if (one.analysis_status === "DONE" && state.attempted === null) state.analysis_status = "PENDING";
  const summary = one.analysis?.forgotten ? t("forgotten") : one.analysis?.summary;
  const notes = [one.corrected ? t("corrected") : null, one.analysis?.confidence == null ? null : `${t("confidence")} ${decimal(one.analysis.confidence, 2)}`];
  const error = one.asr_error_message ?? (one.analysis_status === "ERROR" ? one.analysis_error_message : null);
  return h(
    "div",
    {},
    h("div", { class: "chips" }, ...chips(state), state.closing_question ? h("span", { class: "chip" }, t("closing")) : null),
    summary ? h("p", {}, summary) : null,
    h("p", { class: "facts" }, notes.filter(Boolean).join(" · ")),
    error ? h("p", { class: "state", "data-kind": "error" }, error) : null,
  );
}

// The text with its quotes marked where they stand; where two overlap, the first counts.
function spoken() {
  const part = (...children) => h("div", { class: "part" }, h("h3", {}, t("transcript") + (one.transcript?.corrected ? ` · ${t("corrected")}` : "")), ...children);
  if (!one.transcript) return part(h("p", { class: "facts" }, t(one.cut === "OPEN" ? "OPEN" : "noText")));
  if (one.transcript.forgotten) return part(h("p", { class: "facts" }, t("forgotten")));
  const text = one.transcript.text;
  if (!text) return part(h("p", { class: "facts" }, t("noSpeech")));
  const all = one.analysis?.quotes ?? [];
  const quotes = all.filter((quote) => quote.position !== null).sort((a, b) => a.position - b.position);
  // Positions count characters as Python does, JavaScript counts those beyond the first plane twice.
  const letters = Array.from(text);
  const pieces = [];
  let at = 0;
  for (const quote of quotes) {
    if (quote.position < at) continue;
    const end = quote.position + quote.length;
    const when = quote.start_us ? clock(quote.start_us / 1000) : seconds(quote.start_s);
    pieces.push(letters.slice(at, quote.position).join(""));
    pieces.push(h("mark", { title: when, tabindex: "0", role: "button", onclick: () => play(quote.start_s), onkeydown: (event) => event.key === "Enter" && play(quote.start_s) }, letters.slice(quote.position, end).join("")));
    at = end;
  }
  pieces.push(letters.slice(at).join(""));
  const lost = all.filter((quote) => quote.position === null).map((quote) => h("p", { class: "facts" }, `«${quote.quote}» — ${t("notInText")}`));
  return part(h("p", { class: "spoken", lang: one.transcript.language }, ...pieces), ...lost);
}

function listening(kept) {
  if (!one.pieces.length) return null;
  const failed = sound.dialogue === one.dialogue_id && sound.error;
  const loaded = sound.dialogue === one.dialogue_id && sound.url;
  const button = h("button", { type: "button", "data-key": "listen", onclick: () => play(0) }, `▶ ${t("listen")}`);
  const player = loaded ? (kept ?? h("audio", { controls: true, src: sound.url, "data-of": one.dialogue_id })) : button;
  return h("div", { class: "part" }, failed ? h("p", { class: "state", "data-kind": "error", role: "alert" }, t("noAudio")) : null, player);
}

// Fetches the recording on first use; its times are those of the transcript.
async function play(from) {
  const { dialogue_id, audio } = one;
  if (sound.dialogue !== dialogue_id || !sound.url) {
    if (sound.url) URL.revokeObjectURL(sound.url);
    sound = { dialogue: dialogue_id, url: null, error: false };
    try {
      sound.url = await recording(audio);
    } catch {
      sound.error = true;
    }
    if (one?.dialogue_id !== dialogue_id) return;
    draw();
  }
  const player = byId("dialogue").querySelector("audio[data-of]");
  if (!player) return;
  player.currentTime = from;
  player.play().catch(() => {});
}

function segments() {
  if (!one.segments.length || one.transcript?.corrected) return null;
  const row = (segment) => h("li", {}, h("button", { type: "button", onclick: () => play(segment.start) }, h("small", {}, seconds(segment.start)), segment.text));
  return h("div", { class: "part" }, h("h3", {}, t("segments")), h("ul", { class: "spoken-segments" }, ...one.segments.map(row)));
}

function versions() {
  if (!one.versions.length) return null;
  const head = h("tr", {}, ...["model", "prompt", "attempted", "quality", "cost"].map((name) => h("th", { class: name === "cost" ? "num" : null }, t(name))));
  const row = (version) => {
    const done = version.outcome === "DONE";
    const cost = version.cost_micros == null ? "—" : `$${decimal(version.cost_micros / 1e6, 6)}`;
    return h(
      "tr",
      {},
      h("td", {}, `${version.model ?? "—"}${version.current ? ` · ${t("current")}` : ""}`),
      h("td", {}, version.prompt_version ?? "—"),
      h("td", {}, done ? t(version.attempted) : t(version.outcome === "STARTED" ? "PROCESSING" : version.outcome)),
      h("td", {}, done ? String(version.quality_score) : "—"),
      h("td", { class: "num" }, cost),
    );
  };
  return h("div", { class: "part" }, h("h3", {}, t("versions")), h("div", { class: "scroll" }, h("table", {}, head, ...one.versions.map(row))));
}

const evidence = () => h("p", { class: "facts part" }, `${t("revision")} ${one.revision} · ${t("evidence")}: ${one.topic}/${one.kafka_partition}@${one.kafka_offset}`);
