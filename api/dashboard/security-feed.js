// The live feed, read by fetch so that it can carry the token; after a break it goes on from the last id.

import { authorization } from "./ask.js";

const LONGEST_S = 15;
const SILENCE_MS = 40000;

// Calls `heard(event, data, id)`, `line(isOn)` and, where a token is wanted, `refused()`, which ends it. Gives a function that ends it.
export function follow(after, { heard, line, refused }) {
  const over = new AbortController();
  run(after, { heard, line, refused }, over.signal).catch((error) => { if (!over.signal.aborted) console.error(error); });
  return () => over.abort();
}

async function run(after, told, over) {
  let last = after;
  let pause = 1;
  while (!over.aborted) {
    const once = new AbortController();
    const silence = watch(once);
    try {
      const headers = { ...authorization(), Accept: "text/event-stream", "Last-Event-ID": String(last) };
      const answer = await fetch("/v1/security/live", { headers, cache: "no-store", signal: AbortSignal.any([over, once.signal]) });
      if (answer.status === 401 || answer.status === 403) return told.refused();
      if (answer.ok) {
        pause = 1;
        told.line(true);
        last = await read(answer.body, last, told, silence);
      }
    } catch (error) {
      if (over.aborted) return;
      last = error.last ?? last;
    } finally {
      silence.end();
    }
    told.line(false);
    await new Promise((done) => { setTimeout(done, pause * 1000); });
    pause = Math.min(LONGEST_S, pause * 2);
  }
}

async function read(body, from, told, silence) {
  let last = from;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return last;
      silence.heard();
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) last = take(block, last, told);
    }
  } catch (error) {
    throw Object.assign(error, { last });
  }
}

function take(block, last, told) {
  const fields = new Map(block.split("\n").map((one) => [one.slice(0, one.indexOf(":")), one.slice(one.indexOf(":") + 1).trim()]));
  if (!fields.has("event")) return last;
  told.heard(fields.get("event"), JSON.parse(fields.get("data")), fields.get("id"));
  return fields.get("id");
}

// The server shows a sign of life every 15 s: a line that is silent for longer is broken, whatever the network says.
function watch(once) {
  const cut = () => once.abort();
  let timer = setTimeout(cut, SILENCE_MS);
  addEventListener("offline", cut);
  return {
    heard() { clearTimeout(timer); timer = setTimeout(cut, SILENCE_MS); },
    end() { clearTimeout(timer); removeEventListener("offline", cut); },
  };
}
