// Server-sent events by fetch (so that a token can be sent); where they fail, asks to look again every 5 seconds.

import { authorization } from "./ask.js";

const POLL_MS = 5000;
const SILENCE_MS = 40000;

export function follow(onEvent, onState) {
  let lastId = null;
  let polling = null;

  const poll = (state) => {
    onState(state);
    polling ??= setInterval(() => onEvent("reset", {}), POLL_MS);
  };
  const stopPolling = () => {
    clearInterval(polling);
    polling = null;
  };

  const hear = (block) => {
    const fields = {};
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
    }
    if (fields.id) lastId = fields.id;
    if (!fields.event) return;
    if (fields.event === "offline") poll("away");
    else if (fields.event === "online") {
      stopPolling();
      onState("live");
    } else onEvent(fields.event, JSON.parse(fields.data ?? "{}"));
  };

  const read = async () => {
    const ended = new AbortController();
    let watchdog = setTimeout(() => ended.abort(), SILENCE_MS);
    const headers = { Accept: "text/event-stream", ...authorization(), ...(lastId ? { "Last-Event-ID": lastId } : {}) };
    const answer = await fetch("/api/v1/live", { headers, signal: ended.signal, cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => ended.abort(), SILENCE_MS);
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      blocks.forEach(hear);
    }
  };

  const run = async () => {
    for (;;) {
      let state = "polling";
      try {
        await read();
      } catch (error) {
        if (error instanceof TypeError) state = "away";
      }
      poll(state);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  };
  onState("connecting");
  run();
}
