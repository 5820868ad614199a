// Plotly from our own server, loaded once, drawn in the page's colours.

import { separators } from "./words.js";

let loading = null;

export function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/assets/plotly.min.js";
    script.onload = () => resolve(globalThis.Plotly);
    script.onerror = () => {
      loading = null;
      reject(new Error("plotly"));
    };
    document.head.append(script);
  });
  return loading;
}

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export function faded(name, alpha) {
  const hex = colour(name).slice(1);
  const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
  return `rgba(${r},${g},${b},${alpha})`;
}

export const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };

export function layout(more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("muted") },
    separators: separators(),
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink"), size: 13 } },
    ...more,
  };
}

// Plotly takes a number for a moment and shows it in local time; what it hands back is local time as text.
export const fromAxis = (value) => (typeof value === "number" ? value : new Date(String(value).replace(" ", "T")).getTime());
