// Puts the railway's page together: the chosen list lives in the address; every change asks the list again.

import { byId, fill, h, say } from "./dom.js";
import { wireFrame } from "./page-frame.js";
import { drawSignOut, explain, tell, wireToken } from "./page-token.js";
import { address, call, file } from "./railway-ask.js";
import { input, openForm, said } from "./railway-forms.js";
import { ITEM_COLUMNS, LISTS, TASK_COLUMNS, storeUrl, tasksUrl } from "./railway-lists.js";
import { table } from "./railway-table.js";
import { count, t } from "./railway-words.js";

const SIZE = 50;
let chosen = fromAddress();
let asking = new AbortController();

function fromAddress() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const list = Object.hasOwn(LISTS, hash.get("list")) ? hash.get("list") : "users";
  const scope = {};
  for (const [name, , first] of LISTS[list].scope ?? []) scope[name] = hash.get(name) ?? first;
  return { list, scope, page: Math.max(1, Number.parseInt(hash.get("page"), 10) || 1), store: hash.get("store") };
}

function choose(change) {
  chosen = { ...chosen, ...change };
  const kept = Object.entries({ list: chosen.list, ...chosen.scope, page: chosen.page > 1 ? chosen.page : "", store: chosen.store });
  history.pushState(null, "", `#${new URLSearchParams(kept.filter(([, value]) => value))}`);
  show();
}

async function card(target, work, again) {
  if (!target.hasChildNodes()) say(target, "loading", t("loading"));
  try {
    await work();
  } catch (error) {
    if (error.name !== "AbortError") say(target, "error", explain(error), again, t("retry"));
  }
}

function show() {
  drawControls();
  showList();
  showDetail();
}

const isScoped = () => Object.values(chosen.scope).every(Boolean);

function showList() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const one = LISTS[chosen.list];
  fill(byId("pager"));
  if (!isScoped()) return say(byId("list"), "empty", t("show"));
  return card(byId("list"), async () => {
    const url = one.list(chosen.scope);
    if (one.download) return drawFeed(await call("GET", url, undefined, signal));
    const paged = `${url}${url.includes("?") ? "&" : "?"}${address("", { page: chosen.page, size: SIZE }).slice(1)}`;
    const { data } = await call("GET", paged, undefined, signal);
    const read = async (path) => (await call("GET", path, undefined, signal)).data;
    const rows = one.rowOf ? await Promise.all(data.items.map((id) => one.rowOf(id, read))) : data.items;
    drawRows(one, rows, data.total);
    drawPager(data);
  }, showList);
}

function drawRows(one, rows, total) {
  byId("list-facts").textContent = total === null ? "" : `${count(total)} ${t("entries")}${one.note ? `. ${t(one.note)}` : ""}`;
  if (rows.length) fill(byId("list"), table(one.columns, rows, one.acts.length ? buttons : null));
  else say(byId("list"), "empty", t("empty"));
}

// A feed has no pages: it goes on from where it ended.
function drawFeed(answer, before = []) {
  const rows = [...before, ...answer.data.items];
  drawRows(LISTS[chosen.list], rows, null);
  if (!answer.next) return;
  const more = h("button", { type: "button", class: "more", "data-key": "more" }, t("more"));
  more.onclick = () => call("GET", answer.next).then((next) => drawFeed(next, rows), (error) => tell(explain(error), "error"));
  byId("list").append(more);
}

function drawPager({ page, pages }) {
  if (pages < 2 && page === 1) return;
  const button = (to, word) => h("button", { type: "button", "data-key": word, disabled: to < 1 || to > pages, onclick: () => choose({ page: to }) }, t(word));
  fill(byId("pager"), button(Math.min(page - 1, Math.max(pages, 1)), "earlier"), h("span", {}, `${t("page")} ${count(page)} ${t("of")} ${count(pages)}`), button(page + 1, "later"));
}

function buttons(row) {
  const one = LISTS[chosen.list];
  const open = one.opens ? [h("button", { type: "button", onclick: () => choose({ store: row.id }) }, t("open"))] : [];
  return [...open, ...one.acts.map((act) => h("button", { type: "button", class: act.danger ? "danger" : null, onclick: () => doTo(row, act) }, t(act.name)))];
}

const named = (row) => row.name ?? row.login ?? row.robot_model_name ?? row.id;

function doTo(row, act) {
  const asked = { title: `${t(act.name)}: ${named(row)}`, facts: act.danger ? t("sure") : "", fields: act.fields, word: t(act.danger ? act.name : "change"), danger: act.danger };
  openForm(asked, async (words) => {
    const body = { ...act.also?.(row, chosen.scope), ...words };
    await call(act.method, act.url(row, chosen.scope), Object.keys(body).length ? body : undefined);
    if (act.danger && row.id === chosen.store) chosen.store = null;
    finished();
  }, explain);
}

function add() {
  const { add: one } = LISTS[chosen.list];
  openForm({ title: t(one.word), fields: one.fields, word: t("add") }, async (words) => {
    const blank = one.whole ? Object.fromEntries(one.fields.map(([name]) => [name, ""])) : {};
    await call("POST", one.url(chosen.scope, words), { ...blank, ...one.also?.(chosen.scope), ...words });
    finished();
  }, explain);
}

function finished() {
  tell(t("done"));
  showList();
  showDetail();
}

function showDetail() {
  byId("detail").hidden = !chosen.store;
  if (!chosen.store) return fill(byId("detail-body"));
  const id = chosen.store;
  return card(byId("detail-body"), async () => {
    const [{ data: store }, { data: tasks }] = await Promise.all([call("GET", storeUrl(id)), call("GET", tasksUrl(id))]);
    if (id === chosen.store) drawDetail(store, tasks);
  }, showDetail);
}

function drawDetail(store, tasks) {
  byId("detail-title").textContent = `${t("store")}: ${store.name}`;
  const names = new Map(store.items.map((item) => [item.id, item.name]));
  const lines = (task) => task.purchase.items.map((line) => ({ ...line, name: names.get(line.item_id) }));
  const rows = tasks.items.map((task) => ({ ...task, lines: lines(task) }));
  const nothing = (word) => h("p", { class: "facts" }, t(word));
  fill(
    byId("detail-body"),
    h("p", { class: "facts" }, t("itemsNote")),
    h("h3", {}, `${t("items")} · ${count(store.items.length)}`), store.items.length ? table(ITEM_COLUMNS, store.items) : nothing("noItems"),
    h("h3", {}, `${t("tasks")} · ${count(tasks.total)}`), rows.length ? table(TASK_COLUMNS, rows) : nothing("noTasks"),
  );
}

function drawControls() {
  const one = LISTS[chosen.list];
  fill(byId("tabs"), ...Object.keys(LISTS).map((name) => h("button", { type: "button", "data-key": name, "aria-current": String(name === chosen.list), onclick: () => goTo(name) }, t(name))));
  byId("list-title").textContent = t(chosen.list);
  byId("list-facts").textContent = "";
  byId("add").hidden = !one.add || !isScoped();
  byId("add").textContent = one.add ? t(one.add.word) : "";
  byId("download").hidden = !one.download;
  drawSignOut();
  byId("scope").hidden = !one.scope;
  const fields = (one.scope ?? []).map(([name, kind]) => input(name, kind, kind === "time" ? chosen.scope[name].replace(/Z$/, "") : chosen.scope[name]));
  fill(byId("scope"), ...fields, h("button", { type: "submit" }, t("show")));
}

function goTo(list) {
  const scope = Object.fromEntries((LISTS[list].scope ?? []).map(([name, , first]) => [name, chosen.scope[name] ?? first]));
  fill(byId("list"));
  choose({ list, scope, page: 1, store: null });
}

async function download() {
  try {
    const url = await file(LISTS[chosen.list].download);
    h("a", { href: url, download: "purchases.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  } catch (error) {
    tell(explain(error), "error");
  }
}

function leave() {
  fill(byId("list"));
  fill(byId("detail-body"));
}

function start() {
  wireFrame(show);
  wireToken(show, leave);
  byId("add").onclick = add;
  byId("download").onclick = download;
  byId("detail-close").onclick = () => choose({ store: null });
  byId("scope").onsubmit = async (event) => {
    event.preventDefault();
    const words = await said(byId("scope"), LISTS[chosen.list].scope);
    choose({ scope: { ...chosen.scope, ...words }, page: 1, store: null });
  };
  addEventListener("popstate", () => {
    chosen = fromAddress();
    fill(byId("list"));
    show();
  });
  show();
}

start();
