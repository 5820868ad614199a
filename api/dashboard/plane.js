// The affect plane of the session: how many points lie where, counted by the read model.

import { address, ask } from "./ask.js";
import { byId, say } from "./dom.js";
import { CONFIG, colour, layout, plotly } from "./plot.js";
import { count, many, t } from "./words.js";

let plane = null;

export async function load(session, signal) {
  plane = (await ask(address("/api/v1/heatmap", { device_id: session.device_id, session_id: session.session_id }), signal)).data;
}

export async function draw() {
  const target = byId("plane");
  if (!plane.n) {
    globalThis.Plotly?.purge(target);
    say(target, "empty", t("noCells"));
    return;
  }
  const Plotly = await plotly();
  if (!target.classList.contains("js-plotly-plot")) target.replaceChildren();
  const step = 2 / plane.side;
  const middles = Array.from({ length: plane.side }, (_, i) => -1 + (i + 0.5) * step);
  const trace = {
    type: "heatmap", x: middles, y: middles, xgap: 1, ygap: 1, showscale: false,
    // The square root lets rare places be seen beside the crowded ones.
    z: plane.cells.map((row) => row.map((n) => (n ? Math.sqrt(n) : null))),
    customdata: plane.cells.map((row) => row.map((n) => count(n))),
    colorscale: [[0, colour("heat-0")], [0.25, colour("heat-1")], [0.7, colour("heat-2")], [1, colour("heat-3")]],
    zmin: 0, hovertemplate: `${t("valence")} %{x:+.2f}<br>${t("arousal")} %{y:+.2f}<br>%{customdata} ${t("points")}<extra></extra>`,
  };
  await Plotly.react(target, [trace], shape(), CONFIG);
  target.setAttribute("role", "img");
  target.setAttribute("aria-label", `${t("plane")}: ${many(plane.n, "points")}`);
}

function shape() {
  const axis = (title, more) => ({
    range: [-1.02, 1.02], fixedrange: true, zeroline: true, zerolinecolor: colour("muted"), showgrid: false, tickvals: [-1, -0.5, 0, 0.5, 1],
    linecolor: colour("line"), mirror: true, tickformat: ".1f", title: { text: title, standoff: 6, font: { color: colour("ink"), size: 13 } }, ...more,
  });
  const corner = (key, x, y) => ({
    text: t(key), x, y, xref: "x", yref: "y", showarrow: false, font: { size: 12, color: colour("muted") },
    xanchor: x < 0 ? "left" : "right", yanchor: y < 0 ? "bottom" : "top",
  });
  return layout({
    margin: { l: 52, r: 14, t: 8, b: 44 },
    xaxis: axis(t("valence"), { constrain: "domain" }),
    yaxis: axis(t("arousal"), { scaleanchor: "x", constrain: "domain" }),
    annotations: [corner("tense", -0.97, 0.97), corner("excited", 0.97, 0.97), corner("gloomy", -0.97, -0.97), corner("calm", 0.97, -0.97)],
  });
}
