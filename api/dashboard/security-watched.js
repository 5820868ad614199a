// The watch list: who is unwanted, why, and what to do; added by a passenger's id or name, changed, taken off.

import { h } from "./dom.js";
import { t } from "./language.js";
import { tell } from "./page-token.js";
import { Refusal, call } from "./railway-ask.js";
import { choice, form, text } from "./security-form.js";
import { exists, part } from "./security-part.js";
import { passenger } from "./security-passenger.js";
import { Wrong, explained, meet } from "./security-refusals.js";
import { count, moment } from "./security-words.js";

const ROOT = "/v1/security/watch-list";
const LEVELS = ["low", "medium", "high"];
const addressOf = (id) => `${ROOT}/${encodeURIComponent(id)}`;
const nameOf = (one) => one.name ?? t("unknownPerson");

export const watched = part("watched", {
  url: ROOT, empty: "nobodyWatched", gone: "noWatched", idOf: (one) => one.user_id, draw,
  facts: ({ items }) => `${count(items.length)} ${t("entries")} · ${t("watchedNote")}`,
});

function draw(one) {
  const { user_id: id } = one;
  const key = (word) => ({ type: "button", "data-key": `${id} ${word}` });
  const line = (word, value) => (value ? h("p", {}, `${t(word)}: `, h("span", { class: "said-of" }, value)) : null);
  const since = [`${t("since")} ${moment(one.watched_at)}`, one.by ? `${t("by")} ${one.by}` : ""].filter(Boolean).join(" · ");
  return [
    h(
      "div", {}, h("h3", {}, nameOf(one)), line("reason", one.reason), line("instruction", one.instruction),
      h("div", { class: "chips" }, h("span", { class: "chip", "data-tone": one.level === "high" && "bad" }, `${t("level")}: ${t(one.level)}`)),
      h("p", { class: "small" }, h("code", {}, id), ` · ${since}`),
    ),
    h(
      "div", { class: "acts" },
      h("button", { ...key("edit"), onclick: () => change(id) }, t("edit")),
      h("button", { ...key("unwatch"), class: "danger", onclick: () => remove(one) }, t("unwatch")),
    ),
  ];
}

const details = (of) => [
  choice("level", LEVELS, of.level, { word: "danger" }),
  text("reason", of.reason, { long: true, wide: true }),
  text("instruction", of.instruction, { long: true, wide: true }),
];

const put = (id, said) => call("PUT", addressOf(id), said);
const read = async (id) => (await call("GET", addressOf(id))).data;

async function change(id) {
  const found = await watched.act(id, () => read(id));
  if (found) edit(found);
}

function edit(found) {
  const send = async (said) => {
    await put(found.user_id, said);
    await watched.finished("saved");
  };
  watched.edit(found.user_id, form({ title: "editWatched", name: nameOf(found), fields: details(found), gone: "noWatched", send, close: watched.close }));
}

export const addWatched = () => add("");

function add(whom) {
  const send = async ({ user_id: id, ...said }) => {
    if (await exists(addressOf(id))) throw new Wrong("user_id", "knownWatched");
    await put(id, said);
    await watched.finished("saved");
  };
  const fields = [passenger("user_id", whom), ...details({ level: "medium" })];
  const made = form({ title: "addWatched", fields, word: "add", send, close: watched.close });
  return watched.edit(null, made) ? made : null;
}

// Opens what the list says of a person; of one who is not on it any more that is said, beside the form that puts her back.
export async function openWatched(id) {
  const loading = watched.load();
  try {
    const [found] = await Promise.all([read(id), loading]);
    edit(found);
  } catch (error) {
    await loading;
    const isGone = error instanceof Refusal && error.status === 404;
    if (!isGone) tell(explained(meet(error)).text, "error");
    else add(id)?.fail(new Wrong("user_id", "noWatched"));
  }
}

async function remove(one) {
  if (!confirm(`${t("sureWatched")} ${nameOf(one)}`)) return;
  const answer = await watched.act(one.user_id, () => call("DELETE", addressOf(one.user_id)));
  if (answer) await watched.done("removed");
}
