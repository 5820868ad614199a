// Draws rows: a cell by the kind of its column, and buttons for what can be done to a row.

import { h } from "./dom.js";
import { count, moment, money, t } from "./railway-words.js";

const DRAW = {
  text: (value) => value ?? "",
  strong: (value) => h("b", {}, value ?? ""),
  id: (value) => h("code", {}, value ?? ""),
  word: (value) => (value ? h("span", { class: "chip" }, t(value)) : ""),
  number: (value) => String(value),
  money: (value) => money(value),
  time: (value) => moment(value),
  flag: (value) => h("span", { class: "chip", "data-kind": value ? "yes" : "no" }, t(value ? "yes" : "no")),
  stock: (value, row) => (row.unlimited ? t("unlimited") : count(value)),
  data: (value) => (value && Object.keys(value).length ? h("code", {}, JSON.stringify(value)) : ""),
  lines: (value) => (value ?? []).map((line) => `${line.count} × ${line.name ?? line.item_id.slice(0, 8)}`).join(", "),
  logo: (value) => picture(value, value?.startsWith("/static/"), ""),
  "item-logo": (value) => picture(`/static/logos/items/${encodeURIComponent(value)}`, value, "square"),
};
const WHOLE = new Set(["number", "money", "time", "id", "word", "stock", "flag"]);
const RIGHT = new Set(["number", "money", "stock"]);

// Only pictures of this server are shown: an address of another would tell it who looks.
function picture(url, isOurs, kind) {
  return isOurs ? h("img", { src: url, alt: "", loading: "lazy", class: kind, onerror: (event) => event.target.remove() }) : "";
}

export function table(columns, rows, buttons) {
  const head = columns.map(([name, kind]) => h("th", { class: RIGHT.has(kind) ? "num" : null, scope: "col" }, kind.endsWith("logo") ? "" : t(name)));
  const lines = rows.map((row) => h("tr", {}, ...columns.map(([name, kind]) => cell(row, name, kind)), buttons ? h("td", { class: "acts" }, ...buttons(row)) : null));
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ...head, buttons ? h("th", {}) : null)), h("tbody", {}, ...lines)));
}

function cell(row, name, kind) {
  const kinds = [RIGHT.has(kind) ? "num" : "", WHOLE.has(kind) ? "whole" : "", kind === "text" ? "words" : ""].filter(Boolean).join(" ");
  return h("td", { class: kinds || null }, DRAW[kind](row[name], row));
}
