// What every page has around its content: the way to the other pages, the language and the theme.

import { byId, fill, h } from "./dom.js";
import { switchLanguage, t, translatePage } from "./language.js";

const PAGES = [["/ui", "pageFaces"], ["/ui/sales", "pageSales"], ["/ui/railway", "pageRailway"], ["/ui/security", "pageSecurity"]];
const { dataset } = document.documentElement;

// `redraw` puts the page's content into the other language; `repaint` what does not follow the theme by itself.
export function wireFrame(redraw, repaint = () => {}) {
  dataset.theme = localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  byId("theme").onclick = () => {
    dataset.theme = dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", dataset.theme);
    repaint();
  };
  byId("language").onclick = () => {
    switchLanguage();
    draw();
    redraw();
  };
  const here = location.pathname.replace(/\/$/, "");
  fill(document.querySelector(".pages"), ...PAGES.map(([href, word]) => h("a", { href, "data-t": word, "aria-current": href === here && "page" })));
  draw();
}

function draw() {
  translatePage();
  label("language", t("other"), t("otherName"));
  label("theme", "◐", t("otherTheme"));
}

function label(id, text, name) {
  byId(id).textContent = text;
  byId(id).title = name;
  byId(id).setAttribute("aria-label", name);
}
