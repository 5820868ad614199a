// The words of the page of security in its two languages; the choice is shared with the other pages. Local times.

const WORDS = {
  en: {
    pageFaces: "Faces", pageSales: "Counter", pageRailway: "Railway", pageSecurity: "Security", skip: "Skip to the alerts", tagline: "What the cameras noticed",
    signOut: "Sign out", tokenAsk: "What was noticed of people is shown with a token:", tokenSend: "Use it", wrongToken: "That token is not the right one.",
    loading: "Loading …", retry: "Try again", other: "RU", otherName: "Русский", otherTheme: "Switch between light and dark",
    unavailable: "The server cannot do this just now. Try again in a moment.", network: "The server cannot be reached.", unauthorized: "This server wants a token.", failed: "The server refused:",
    alerts: "Alerts", shown: "What is shown", all: "All", deviance: "Signals", threat: "Threats", unsettled: "Not dealt with", empty: "Nothing was noticed yet.", more: "Show more", entries: "shown", waiting: "not dealt with",
    online: "live", offline: "reconnecting …", devianceTitle: "Deviant behaviour", threatTitle: "Unwanted person", noFrame: "no picture", frameOf: "Key frame of", unknownPerson: "name unknown",
    score: "score", seenTimes: "seen", participants: "people", going: "going on", until: "until", muted: "muted", low: "low", medium: "medium", high: "high",
    open: "new", acknowledged: "acknowledged", escalated: "escalated", resolved: "resolved", by: "by", level: "danger",
    acknowledge: "Acknowledge", escalate: "Escalate", resolve: "Resolve", mute: "Mute 30 min", details: "Details", hide: "Hide", note: "A note for the others (may stay empty):", mutedNow: "The camera is not heard of for 30 minutes.",
    reason: "Why watched", instruction: "What to do", ticket: "Ticket of today", noTicket: "none", train: "train", wagon: "wagon", place: "place", used: "on board", model: "Model", history: "History", distance: "Distance of faces",
    AlertRaised: "raised", AlertUpdated: "more", AlertSettled: "dealt with",
  },
  ru: {
    pageFaces: "Лица", pageSales: "Прилавок", pageRailway: "Поезда", pageSecurity: "Охрана", skip: "К тревогам", tagline: "Что заметили камеры",
    signOut: "Выйти", tokenAsk: "Замеченное о людях видно по токену:", tokenSend: "Применить", wrongToken: "Токен не подходит.",
    loading: "Загрузка …", retry: "Повторить", other: "EN", otherName: "English", otherTheme: "Светлая или тёмная",
    unavailable: "Сервер сейчас не может этого. Повторите чуть позже.", network: "Сервер недоступен.", unauthorized: "Сервер требует токен.", failed: "Сервер отказал:",
    alerts: "Тревоги", shown: "Что показано", all: "Все", deviance: "Сигналы", threat: "Угрозы", unsettled: "Не разобраны", empty: "Пока ничего не замечено.", more: "Показать ещё", entries: "показано", waiting: "не разобрано",
    online: "на связи", offline: "связь восстанавливается …", devianceTitle: "Девиантное поведение", threatTitle: "Нежелательное лицо", noFrame: "нет снимка", frameOf: "Ключевой кадр:", unknownPerson: "имя неизвестно",
    score: "оценка", seenTimes: "замечен раз:", participants: "участников:", going: "продолжается", until: "до", muted: "без звука", low: "низкая", medium: "средняя", high: "высокая",
    open: "новая", acknowledged: "принята", escalated: "передана выше", resolved: "закрыта", by: "кем:", level: "опасность",
    acknowledge: "Принять", escalate: "Передать выше", resolve: "Закрыть", mute: "Тишина 30 мин", details: "Подробнее", hide: "Скрыть", note: "Заметка для других (можно оставить пустой):", mutedNow: "Камера молчит 30 минут.",
    reason: "Почему ищут", instruction: "Что делать", ticket: "Билет на сегодня", noTicket: "нет", train: "поезд", wagon: "вагон", place: "место", used: "в поезде", model: "Модель", history: "Что было", distance: "Расстояние лиц",
    AlertRaised: "поднята", AlertUpdated: "дополнена", AlertSettled: "разобрана",
  },
};

const stored = localStorage.getItem("language");
let language = stored in WORDS ? stored : navigator.language.startsWith("ru") ? "ru" : "en";

export const t = (key) => WORDS[language][key] ?? key;
const locale = () => (language === "ru" ? "ru-RU" : "en-GB");

export function switchLanguage() {
  language = language === "ru" ? "en" : "ru";
  localStorage.setItem("language", language);
}

export function translatePage() {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", t(one.dataset.label));
}

export const count = (n) => new Intl.NumberFormat(locale()).format(n);

export function moment(text) {
  const format = { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return new Intl.DateTimeFormat(locale(), format).format(new Date(text));
}
