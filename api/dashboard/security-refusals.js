// What the server refuses, and what cannot be sent at all, as sentences of the page's language, by the fields they are about.

import { t } from "./language.js";
import { askForToken } from "./page-token.js";
import { Refusal } from "./railway-ask.js";

// Something in a field that is not worth asking the server; `n`: in which line of it; `others`: in other fields.
export class Wrong extends Error {
  constructor(field, word, n = null) {
    super(word);
    Object.assign(this, { field, word, n, others: [] });
  }
}

// Kinds of the server's 422, and which number of their context belongs into the sentence.
const KINDS = {
  missing: ["needed"], string_type: ["needed"], string_too_short: ["needed"], too_short: ["needed"], string_too_long: ["tooLong", "max_length"], too_long: ["tooLong", "max_length"],
  greater_than_equal: ["tooLow", "ge"], less_than_equal: ["tooHigh", "le"], string_pattern_mismatch: ["badTime"],
  float_parsing: ["notNumber"], float_type: ["notNumber"], finite_number: ["notNumber"],
};
const SENTENCES = [[/deviance_off|above the score at which it begins/, "deviance_off", "offAboveOn"], [/schedule/i, "schedule", "badSchedule"]];
const STATUSES = { 401: "tokenAbove", 403: "forbidden", 409: "conflict", 413: "tooLarge", 422: "markedWrong" };

// To be called once for every failure: where a token is wanted, it is asked for.
export function meet(error) {
  if (error instanceof Refusal && error.kind === "unauthorized") askForToken();
  else if (!(error instanceof Refusal || error instanceof Wrong)) console.error(error);
  return error;
}

// { text, fields: { name: sentence } } of a failure; `gone` is the key of what a 404 means here.
export function explained(error, gone = "gone") {
  if (error instanceof Wrong) return { text: t("markedWrong"), fields: Object.fromEntries([error, ...error.others].map((one) => [one.field, inLine(one.n, t(one.word))])) };
  if (!(error instanceof Refusal)) return { text: t("broken"), fields: {} };
  const fields = error.status === 422 ? marked(error) : {};
  if (error.status === 422 && !Object.keys(fields).length) return { text: `${t("failed")} ${error.message}`, fields };
  const word = error.status === 404 ? gone : STATUSES[error.status] ?? error.kind;
  return { text: word === "failed" ? `${t(word)} ${error.message}` : t(word), fields };
}

function marked({ wrong, message }) {
  if (wrong.length) return Object.fromEntries(wrong.toReversed().map((one) => [one.loc?.[1] ?? "", inLine(lineOf(one), sentence(one))]));
  const found = SENTENCES.find(([like]) => like.test(message));
  return found ? { [found[1]]: t(found[2]) } : {};
}

const lineOf = ({ loc }) => (typeof loc?.[2] === "number" ? loc[2] + 1 : null);
const inLine = (n, text) => (n === null ? text : `${t("line")} ${n}: ${text}`);

function sentence({ type, ctx, msg }) {
  const [word, limit] = KINDS[type] ?? [];
  return word ? t(word).replace("{n}", String(ctx?.[limit] ?? "")) : msg;
}
