// What a device that adds up by itself (a Jetson) has reported: totals, its people, its camera.

import { address, ask } from "./ask.js";
import { byId, fill, h, say } from "./dom.js";
import { clock, decimal, duration, t } from "./words.js";

const EMOTIONS = ["happy", "sad", "angry", "neutral"];
let devices = [];
let chosen = null;
let summary = null;
let camera = false;

export async function load() {
  devices = (await ask("/api/dashboard/devices")).data;
  if (!devices.some((device) => device.device_id === chosen)) chosen = devices[0]?.device_id ?? null;
  summary = chosen === null ? null : (await ask(address("/api/dashboard/summary", { device_id: chosen }))).data;
}

export function draw(again) {
  const picker = byId("device");
  picker.hidden = devices.length < 2;
  picker.setAttribute("aria-label", t("totals"));
  fill(picker, ...devices.map((device) => h("option", { value: device.device_id, selected: device.device_id === chosen }, device.device_id)));
  picker.onchange = () => {
    chosen = picker.value;
    again();
  };
  const target = byId("totals");
  byId("totals-note").textContent = summary ? `${summary.device_name} · ${summary.device_id} · ${t("updated")} ${clock(Date.parse(summary.updated_at))}` : "";
  if (!summary) {
    say(target, "empty", t("noTotals"));
    return;
  }
  const kept = target.querySelector(".camera");
  fill(target, bars(), people(), kept && camera ? kept : cameraBox());
}

function bars() {
  const most = Math.max(...EMOTIONS.map((emotion) => summary.emotion_totals[emotion]), 1e-9);
  const cells = EMOTIONS.flatMap((emotion) => {
    const seconds = summary.emotion_totals[emotion];
    const bar = h("div", { class: `fill ${emotion}` });
    bar.style.width = `${Math.max(0, (100 * seconds) / most)}%`;
    return [
      h("span", { class: `mood ${emotion}` }, t(emotion)),
      h("div", { class: "track" }, seconds > 0 ? bar : null),
      h("span", { class: "figure" }, duration(seconds * 1000)),
    ];
  });
  return h("div", { class: "bars" }, ...cells);
}

function people() {
  if (!summary.current_people.length) return h("p", { class: "state" }, t("noPeople"));
  const heads = [h("th", { scope: "col" }, t("who")), h("th", { scope: "col" }, t("now"))];
  heads.push(...EMOTIONS.map((emotion) => h("th", { scope: "col", class: "num" }, t(emotion))), h("th", { scope: "col" }, t("seen")));
  const rows = summary.current_people.map((person) =>
    h(
      "tr", {},
      h("td", { title: person.person_id }, person.person_id),
      h("td", {}, h("span", { class: `mood ${person.current_emotion}` }, t(person.current_emotion))),
      ...EMOTIONS.map((emotion) => h("td", { class: "num" }, `${decimal(person[`time_${emotion}`])} ${t("s")}`)),
      h("td", {}, clock(Date.parse(person.last_seen))),
    ),
  );
  return h("div", { class: "scroll", tabindex: "0" }, h("table", {}, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows)));
}

// The picture stream never ends and holds a connection: it is opened only when somebody wants to see it.
function cameraBox() {
  const box = h("div", { class: "camera" });
  const fps = summary.model_fps > 0 ? ` ${decimal(summary.model_fps)} ${t("fps")}` : "";
  const toggle = h("button", { type: "button", class: "ghost", "data-key": "camera", "aria-expanded": String(camera) }, t(camera ? "hideCamera" : "showCamera"));
  toggle.addEventListener("click", () => {
    camera = !camera;
    box.replaceWith(cameraBox());
  });
  box.append(toggle, h("span", { class: "facts" }, fps));
  if (camera) {
    const wait = h("p", { class: "facts" }, t("noFrame"));
    const image = h("img", { alt: t("camera"), hidden: true, src: `/stream/${encodeURIComponent(chosen)}` });
    image.addEventListener("load", () => {
      image.hidden = false;
      wait.remove();
    });
    box.append(wait, image);
  }
  return box;
}
