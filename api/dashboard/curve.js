// Valence and arousal over time: the API's points or buckets as traces, with the moments marked on them.

import { address, ask } from "./ask.js";
import { byId, say } from "./dom.js";
import { lastSeen } from "./persons.js";
import { CONFIG, colour, faded, fromAxis, layout, plotly } from "./plot.js";
import { clock, dayFormat, duration, signed, t, zoneName } from "./words.js";

const SIGNALS = ["valence", "arousal"];
const MOST_SPANS = 25;
let answer = null;
let asked = null;

export async function load(session, person, range, signal) {
  const width = byId("curve").clientWidth || 800;
  const query = { device_id: session.device_id, session_id: session.session_id, max_points: Math.max(200, Math.round(width)) };
  if (person !== null) query.session_person_id = person;
  if (range) Object.assign(query, { from_ms: Math.floor(range[0]), to_ms: Math.ceil(range[1]) + 1 });
  answer = (await ask(address("/api/v1/logs", query), signal)).data;
  asked = { person, range };
}

// The times the drawing spans: what is asked for, or what there is.
export function span() {
  if (asked?.range) return asked.range;
  if (!answer?.records.length) return null;
  const last = answer.records.at(-1).t_ms + (answer.bucket_ms ?? 0);
  return [answer.records[0].t_ms, Math.max(last, answer.records[0].t_ms + 1000)];
}

export async function draw(moments, onZoom) {
  const target = byId("curve");
  byId("curve-note").textContent = note();
  if (!answer.records.length) {
    globalThis.Plotly?.purge(target);
    say(target, "empty", t("noPoints"));
    return;
  }
  const Plotly = await plotly();
  if (!target.classList.contains("js-plotly-plot")) target.replaceChildren();
  await Plotly.react(target, [...SIGNALS.flatMap(traces), ...marks(moments)], shape(moments), CONFIG);
  target.setAttribute("role", "img");
  target.setAttribute("aria-label", description(moments));
  if (target.dataset.wired) return;
  target.dataset.wired = "yes";
  target.on("plotly_relayout", (change) => {
    if ("xaxis.range[0]" in change) onZoom([fromAxis(change["xaxis.range[0]"]), fromAxis(change["xaxis.range[1]"])]);
  });
  target.on("plotly_doubleclick", () => onZoom(null));
}

function note() {
  const how = answer.bucket_ms === null ? t("asPoints") : `${t("asBuckets")} ${duration(answer.bucket_ms)}`;
  return answer.records.length ? `${how} · ${t("zone")} ${zoneName()}` : "";
}

function description(moments) {
  const [from, to] = span();
  return `${t("curve")}: ${clock(from)} – ${clock(to)}, ${moments.length} ${t("moments")}`;
}

// A line is broken where nobody was seen for a while, so that absence does not look like calm.
function broken(records, usual) {
  const rows = [];
  records.forEach((record, index) => {
    if (index && record.t_ms - records[index - 1].t_ms > usual) rows.push(null);
    rows.push(record);
  });
  return rows;
}

function traces(signal) {
  const name = t(signal);
  const line = { color: colour(signal), width: 1.8 };
  const hover = `${name} %{y:+.2f}<extra></extra>`;
  if (answer.bucket_ms === null) {
    const mixed = asked.person === null;
    const rows = mixed ? answer.records : broken(answer.records, 10000);
    const x = rows.map((row) => (row ? row.t_ms : null));
    const y = rows.map((row) => (row ? row[signal] : null));
    const mode = mixed ? "markers" : rows.length < 120 ? "lines+markers" : "lines";
    return [{ x, y, name, mode, line, marker: { color: colour(signal), size: 4 }, hovertemplate: hover, legendgroup: signal }];
  }
  const rows = broken(answer.records, Math.max(3 * answer.bucket_ms, 10000));
  const half = answer.bucket_ms / 2;
  return [
    { ...band(rows, signal), fill: "toself", fillcolor: faded(signal, 0.16), mode: "lines", line: { color: faded(signal, 0.3), width: 0.7 },
      legendgroup: signal, showlegend: false, hoverinfo: "skip" },
    { x: rows.map((row) => (row ? row.t_ms + half : null)), y: rows.map((row) => (row ? row[signal] : null)),
      name, mode: "lines", line, hovertemplate: hover, legendgroup: signal },
  ];
}

// One outline a stretch: along the highest values at their own times, and back along the lowest.
function band(rows, signal) {
  const x = [];
  const y = [];
  const close = (stretch) => {
    if (!stretch.length) return;
    const back = stretch.toReversed();
    x.push(...stretch.map((row) => row[`max_${signal}_ms`]), ...back.map((row) => row[`min_${signal}_ms`]), null);
    y.push(...stretch.map((row) => row[`max_${signal}`]), ...back.map((row) => row[`min_${signal}`]), null);
  };
  let stretch = [];
  for (const row of rows) {
    if (row) stretch.push(row);
    else {
      close(stretch);
      stretch = [];
    }
  }
  close(stretch);
  return { x, y };
}

const SYMBOLS = { STRONG: { UP: "triangle-up", DOWN: "triangle-down" }, SUDDEN: { UP: "star-triangle-up", DOWN: "star-triangle-down" } };

function marks(moments) {
  return SIGNALS.map((signal) => {
    const own = moments.filter((moment) => moment.signal === signal.toUpperCase());
    return {
      x: own.map((moment) => moment.peak_ms),
      y: own.map((moment) => moment.peak),
      text: own.map((moment) => `${t(signal)}: ${t(moment.kind)}, ${t(moment.direction)}, ${signed(moment.peak)} (${t("from")} ${signed(moment.baseline)})`),
      mode: "markers", showlegend: false, legendgroup: signal, hovertemplate: "%{text}<extra></extra>", cliponaxis: false,
      marker: { color: colour(signal), size: own.length > 25 ? 9 : 13, symbol: own.map((moment) => SYMBOLS[moment.kind][moment.direction]), line: { color: colour("card"), width: own.length > 25 ? 1 : 1.8 } },
    };
  });
}

function shape(moments) {
  const shown = span();
  const spans = (moments.length > MOST_SPANS ? [] : moments).map((moment) => ({
    type: "rect", yref: "paper", y0: 0, y1: 1, layer: "below", line: { width: 0 },
    x0: moment.start_ms, x1: moment.end_ms ?? lastSeen(moment.session_person_id) ?? shown[1], fillcolor: faded(moment.signal.toLowerCase(), 0.09),
  }));
  const coarse = matchMedia("(pointer: coarse)").matches;
  return layout({
    margin: { l: 40, r: 14, t: 8, b: 34 },
    hovermode: "x unified",
    dragmode: coarse ? false : "zoom",
    shapes: spans,
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { color: colour("ink"), size: 13 } },
    xaxis: { type: "date", range: shown, gridcolor: colour("line"), linecolor: colour("line"), zeroline: false,
      spikecolor: colour("muted"), spikethickness: 1, spikedash: "dot", ...dates() },
    yaxis: { range: reach(), fixedrange: true, gridcolor: colour("line"), zerolinecolor: colour("muted"), zerolinewidth: 1, tickformat: ".1f", nticks: 5 },
  });
}

// Plotly's own names of months are English: figures serve both languages.
function dates() {
  const day = dayFormat();
  const stops = [[null, 999, `%H:%M:%S.%3f\n${day}`], [1000, 59999, `%H:%M:%S\n${day}`], [60000, 86399999, `%H:%M\n${day}`], [86400000, null, day]];
  return { hoverformat: `%H:%M:%S · ${day}`, tickformatstops: stops.map(([from, to, value]) => ({ dtickrange: [from, to], value })) };
}

// -1 to 1 is what valence and arousal are; a device that sends more still sees all of it.
function reach() {
  const names = answer.bucket_ms === null ? SIGNALS : SIGNALS.flatMap((signal) => [`min_${signal}`, `max_${signal}`]);
  let most = 1;
  for (const record of answer.records) for (const name of names) most = Math.max(most, Math.abs(record[name]));
  return [-most * 1.06, most * 1.06];
}
