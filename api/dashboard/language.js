// The language of a page: the choice is remembered and shared by all pages. A page brings words of its own; some all have.

const COMMON = {
  en: {
    pageFaces: "Faces", pageSales: "Counter", pageRailway: "Railway", pageSecurity: "Security",
    signOut: "Sign out", tokenAsk: "This server wants a token from here:", tokenSend: "Use it", wrongToken: "That token is not the right one.",
    loading: "Loading …", retry: "Try again", other: "RU", otherName: "Русский", otherTheme: "Switch between light and dark", more: "Show more",
    unavailable: "The server cannot do this just now. Try again in a moment.", network: "The server cannot be reached.",
    unauthorized: "This server wants a token.", failed: "The server refused:",
  },
  ru: {
    pageFaces: "Лица", pageSales: "Прилавок", pageRailway: "Поезда", pageSecurity: "Охрана",
    signOut: "Выйти", tokenAsk: "Отсюда сервер требует токен:", tokenSend: "Применить", wrongToken: "Токен не подходит.",
    loading: "Загрузка …", retry: "Повторить", other: "EN", otherName: "English", otherTheme: "Светлая или тёмная", more: "Показать ещё",
    unavailable: "Сервер сейчас не может этого. Повторите чуть позже.", network: "Сервер недоступен.",
    unauthorized: "Сервер требует токен.", failed: "Сервер отказал:",
  },
};

const stored = localStorage.getItem("language");
let language = stored in COMMON ? stored : navigator.language.startsWith("ru") ? "ru" : "en";
let own = COMMON;

// Takes the words of a page, by language and key; they come before the common ones.
export function learn(words) {
  own = words;
}

export const current = () => language;
export const t = (key) => own[language][key] ?? COMMON[language][key] ?? key;
export const locale = () => (language === "ru" ? "ru-RU" : "en-GB");
export const count = (n) => new Intl.NumberFormat(locale()).format(n);

export function switchLanguage() {
  language = language === "ru" ? "en" : "ru";
  localStorage.setItem("language", language);
}

// Puts words wherever the page names their keys: as text, as the name of what has no text, as a placeholder.
export function translatePage() {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
  for (const one of document.querySelectorAll("[data-label]")) {
    one.setAttribute("aria-label", t(one.dataset.label));
    if (one.matches("button, input, select")) one.title = t(one.dataset.label);
  }
  for (const one of document.querySelectorAll("[data-placeholder]")) {
    one.placeholder = t(one.dataset.placeholder);
    one.setAttribute("aria-label", one.placeholder);
  }
}
