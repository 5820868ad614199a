// The day: four cards, its hours, what was offered, the quality of offers.

import { address, ask } from "./sales-ask.js";
import { byId, fill, h, say } from "./dom.js";
import { category, count, dayName, decimal, percent, setZone, t, zoneName } from "./sales-words.js";

let day = null;

export async function load(chosen) {
  day = (await ask(address("/v1/sales/overview", { from: chosen.day, point: chosen.point }))).data;
  setZone(day.zone);
}

export function draw() {
  if (!day) return;
  byId("day-title").textContent = dayName(day.from);
  byId("day-facts").textContent = `${t("zone")} ${zoneName()}`;
  if (!day.dialogues) {
    say(byId("figures"), "empty", t("emptyDay"));
    return;
  }
  fill(byId("figures"), cards(), h("div", { class: "charts" }, hours(), offers(), qualities()));
}

function cards() {
  const card = (figure, name, note) => h("div", { class: "figure-card" }, h("b", {}, figure), h("span", {}, `${name} · ${note}`));
  const decided = day.accepted_count + day.rejected_count;
  return h(
    "div",
    { class: "figures" },
    card(count(day.dialogues), t("total"), `${count(day.dialogues_analyzed)} ${t("analysed")}`),
    card(count(day.attempted_yes), t("attempts"), `${percent(day.attempted_rate)} ${t("ofAnalysed")}`),
    card(day.dialogues_analyzed ? decimal(day.avg_quality, 2) : "—", t("avgQuality"), t("outOf")),
    card(count(day.accepted_count), t("acceptedCount"), decided ? `${percent(day.accepted_rate)} ${t("ofDecided")}` : "—"),
  );
}

// Only the hours between the first and the last with a dialogue; 23 or 25 of them are right where clocks change.
function hours() {
  const busy = day.hours.map((hour, n) => (hour.dialogues ? n : -1)).filter((n) => n >= 0);
  const shown = day.hours.slice(Math.max(0, busy[0] - 1), busy.at(-1) + 2);
  const most = Math.max(...shown.map((hour) => hour.dialogues));
  const column = (hour) => {
    const words = `${hour.hour}:00 — ${t("allDialogues")}: ${count(hour.dialogues)}, ${t("withOffer")}: ${count(hour.attempted_yes)}`;
    const bar = (n, name) => h("i", { class: name, style: `height:${(100 * n) / most}%` });
    const parts = h("div", { class: "column" }, bar(hour.dialogues - hour.attempted_yes, ""), bar(hour.attempted_yes, "yes"));
    return h("div", { class: "hour", title: words, role: "img", "aria-label": words }, parts, h("small", {}, hour.hour));
  };
  const legend = h("p", { class: "legend" }, h("span", {}, t("allDialogues")), h("span", { class: "yes" }, t("withOffer")));
  return h("div", {}, h("h3", {}, t("byHour")), h("div", { class: "hours" }, ...shown.map(column)), legend);
}

function bars(title, rows, empty) {
  const most = Math.max(1, ...rows.map(([, n]) => n));
  const cells = rows.flatMap(([name, n]) => [
    h("span", {}, name),
    h("span", { class: "track" }, h("span", { class: "fill", style: `display:block;width:${(100 * n) / most}%` })),
    h("span", { class: "figure" }, count(n)),
  ]);
  return h("div", {}, h("h3", {}, title), rows.length ? h("div", { class: "bars" }, ...cells) : h("p", { class: "facts" }, empty));
}

const offers = () => bars(t("categories"), day.top_categories.slice(0, 6).map((row) => [category(row.category), row.count]), t("noCategories"));
const qualities = () => bars(t("qualities"), Object.entries(day.quality_distribution));
