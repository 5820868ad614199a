// When a camera is watched: shown in words, edited as rows of days and two times of day.

import { h } from "./dom.js";
import { t } from "./language.js";
import { noted } from "./security-form.js";
import { Wrong } from "./security-refusals.js";

const DAYS = [0, 1, 2, 3, 4, 5, 6];
const MOST = 50;
const MIDNIGHT = "00:00";

// "Mon–Fri 22:00–06:00, Sun 09:00–24:00"; nothing: always.
export function hoursInWords(schedule) {
  if (!schedule.length) return t("always");
  return schedule.map((one) => `${daysInWords(one.days)} ${one.from}–${one.to}`).join(", ");
}

function daysInWords(days) {
  const chosen = DAYS.filter((day) => days.includes(day));
  if (!chosen.length) return t("never");
  if (chosen.length === DAYS.length) return t("daily");
  const runs = [];
  for (const day of chosen) {
    if (runs.at(-1)?.at(-1) === day - 1) runs.at(-1).push(day);
    else runs.push([day]);
  }
  return runs.map((run) => (run.length > 2 ? `${t(`day${run[0]}`)}–${t(`day${run.at(-1)}`)}` : run.map((day) => t(`day${day}`)).join(", "))).join(", ");
}

// The field of a form; times are the site's.
export function hours(name, schedule) {
  const rows = [];
  const list = h("div", { class: "hours" });
  const add = h("button", { type: "button", "data-t": "addHours", onclick: () => addRow({ days: [0, 1, 2, 3, 4], from: "", to: "" }).focus() }, t("addHours"));
  const element = h("fieldset", { class: "field wide" }, h("legend", { "data-t": "schedule" }, t("schedule")));
  const { note, wrong, mark } = noted(element, "scheduleHint");
  element.append(note, list, wrong, add);

  function addRow(entry) {
    const one = row(entry, () => {
      rows.splice(rows.indexOf(one), 1);
      draw();
      element.dispatchEvent(new Event("input", { bubbles: true }));
      add.focus();
    });
    rows.push(one);
    draw();
    return one;
  }

  function draw() {
    list.replaceChildren(...rows.map((one) => one.element));
    rows.forEach((one, at) => one.count(at + 1));
    add.disabled = rows.length >= MOST;
  }

  function read() {
    return rows.map((one, at) => {
      const said = one.read();
      if (!said.days.length) throw new Wrong(name, "needDays", at + 1);
      if (!said.from || !said.to) throw new Wrong(name, "badTime", at + 1);
      return said;
    });
  }

  for (const one of schedule) addRow(one);
  return { name, element, input: add, read, mark };
}

let made = 0;

function row(entry, remove) {
  made += 1;
  const n = h("span", {});
  const days = DAYS.map((day) => h("input", { type: "checkbox", checked: entry.days.includes(day) }));
  // The midnight at which a day ends is 00:00 to an input of times.
  const time = (word, value) => h("input", { type: "time", "data-label": word, "aria-label": t(word), value: value === "24:00" ? MIDNIGHT : value });
  const [from, to] = [time("from", entry.from), time("to", entry.to)];
  const element = h(
    "div", { class: "hours-row", role: "group", "aria-labelledby": `hours-${made}` },
    h("span", { id: `hours-${made}`, class: "n" }, h("span", { "data-t": "line" }, t("line")), " ", n),
    h("span", { class: "days" }, ...days.map((box, day) => h("label", { class: "check" }, box, h("span", { "data-t": `day${day}` }, t(`day${day}`))))),
    h("span", { class: "times" }, from, "–", to, h("button", { type: "button", "data-label": "removeHours", "aria-label": t("removeHours"), title: t("removeHours"), onclick: remove }, "✕")),
  );
  const read = () => ({ days: DAYS.filter((day) => days[day].checked), from: from.value, to: to.value === MIDNIGHT ? "24:00" : to.value });
  return { element, read, focus: () => days[0].focus(), count: (at) => { n.textContent = String(at); } };
}
