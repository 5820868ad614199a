// The page's two languages, numbers and times in them. The choice is remembered.

import { count, current, learn, locale, t } from "./language.js";

export { count, locale, t } from "./language.js";

learn({
  en: {
    skip: "Skip to the session", tagline: "Emotions over time, live from the devices",
    sessions: "Sessions", filter: "Filter by device or session", fold: "Hide list", unfold: "Show list",
    curve: "Valence and arousal", valence: "Valence", arousal: "Arousal",
    plane: "Affect plane", planeNote: "Where the points of the session lie, everybody together",
    totals: "Emotion totals",
    live: "Live", polling: "Asking every 5 s", away: "Server does not answer", connecting: "Connecting",
    noSessions: "No session yet. One appears here as soon as a device posts its first points.",
    noMatch: "No session matches.", choose: "Choose a session", noPersons: "Nobody in this session.",
    noPoints: "No points in this range.", noCells: "No points in this session yet.",
    noTotals: "No device has reported emotion totals yet.", noPeople: "Nobody has been reported by this device.",
    noMoments: "No strong or sudden change found here.",
    everybody: "Everybody", person: "Person", visitor: "Visitor", points: "points", pts: "pts", persons: "persons",
    unavailable: "The database does not answer just now.",
    failed: "The server refused the question.",
    noPlot: "The drawing library could not be loaded.",
    asPoints: "every point", asBuckets: "mean line, band from lowest to highest of each", zone: "times in",
    zoomIn: "Zoom in", zoomOut: "Zoom out", earlier: "Earlier", later: "Later", all: "All", download: "Download",
    moments: "Moments", momentsHere: "Moments (click to look closer)",
    STRONG: "strong", SUDDEN: "sudden", UP: "up", DOWN: "down", ongoing: "goes on", toLastSeen: "as far as seen", peak: "peak", from: "from", evidence: "event",
    tense: "tense", excited: "excited", gloomy: "gloomy", calm: "calm",
    happy: "Happy", sad: "Sad", angry: "Angry", neutral: "Neutral",
    who: "Person", now: "Mood", seen: "Last seen", updated: "updated", camera: "Camera", showCamera: "Show the camera",
    hideCamera: "Hide the camera", noFrame: "No picture has come from this device yet.", fps: "frames/s by the model",
    s: "s", min: "min", h: "h", ms: "ms", d: "d",
  },
  ru: {
    skip: "К сеансу", tagline: "Эмоции во времени, прямо с датчиков",
    sessions: "Сеансы", filter: "Найти устройство или сеанс", fold: "Скрыть список", unfold: "Показать список",
    curve: "Валентность и возбуждение", valence: "Валентность", arousal: "Возбуждение",
    plane: "Плоскость аффекта", planeNote: "Где лежат точки сеанса, все люди вместе",
    totals: "Итоги по эмоциям",
    live: "В эфире", polling: "Опрос каждые 5 с", away: "Сервер не отвечает", connecting: "Соединение",
    noSessions: "Сеансов пока нет. Сеанс появится, как только устройство пришлёт первые точки.",
    noMatch: "Таких сеансов нет.", choose: "Выберите сеанс", noPersons: "В этом сеансе никого нет.",
    noPoints: "В этом промежутке нет точек.", noCells: "В этом сеансе пока нет точек.",
    noTotals: "Ни одно устройство ещё не прислало итогов.", noPeople: "Это устройство ещё никого не сообщило.",
    noMoments: "Сильных или резких перемен здесь не найдено.",
    everybody: "Все", person: "Человек", visitor: "Гость", points: "точек", pts: "тчк", persons: "чел.",
    unavailable: "База данных сейчас не отвечает.",
    failed: "Сервер отклонил запрос.",
    noPlot: "Не удалось загрузить библиотеку графиков.",
    asPoints: "каждая точка", asBuckets: "линия средних, полоса от наименьшего до наибольшего за каждые", zone: "время:",
    zoomIn: "Приблизить", zoomOut: "Отдалить", earlier: "Раньше", later: "Позже", all: "Всё", download: "Скачать",
    moments: "Моменты", momentsHere: "Моменты (нажмите, чтобы приблизить)",
    STRONG: "сильный", SUDDEN: "резкий", UP: "вверх", DOWN: "вниз", ongoing: "длится", toLastSeen: "пока был виден", peak: "пик", from: "от", evidence: "событие",
    tense: "напряжение", excited: "радость", gloomy: "грусть", calm: "покой",
    happy: "Радость", sad: "Грусть", angry: "Гнев", neutral: "Спокойно",
    who: "Человек", now: "Настроение", seen: "Замечен", updated: "обновлено", camera: "Камера", showCamera: "Показать камеру",
    hideCamera: "Скрыть камеру", noFrame: "От этого устройства ещё не было кадров.", fps: "кадров/с у модели",
    s: "с", min: "мин", h: "ч", ms: "мс", d: "д",
  },
});

export const dayFormat = () => (current() === "ru" ? "%d.%m.%Y" : "%Y-%m-%d");
export const separators = () => (current() === "ru" ? ",\u00a0" : ".,");
export const compact = (n) => new Intl.NumberFormat(locale(), { notation: "compact" }).format(n);
// A number with its word in the right form: 1 person, 2 persons; 1 точка, 2 точки, 5 точек.
const FORMS = {
  en: { persons: { one: "person", other: "persons" }, points: { one: "point", other: "points" }, pts: { one: "pt", other: "pts" } },
  ru: { points: { one: "точка", few: "точки", other: "точек" } },
};
export const many = (n, word, figure = count) => `${figure(n)} ${FORMS[current()][word]?.[new Intl.PluralRules(current()).select(n)] ?? FORMS[current()][word]?.other ?? t(word)}`;
export const signed = (x) => new Intl.NumberFormat(locale(), { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero" }).format(x);
export const decimal = (x, digits = 1) => new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(x);

const isToday = (ms) => new Date(ms).toDateString() === new Date().toDateString();

export function clock(ms) {
  const format = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  if (!isToday(ms)) Object.assign(format, { day: "numeric", month: "short", year: new Date(ms).getFullYear() === new Date().getFullYear() ? undefined : "numeric" });
  return new Intl.DateTimeFormat(locale(), format).format(ms);
}

export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ${t("ms")}`;
  const s = ms / 1000;
  if (s < 90) return `${decimal(s, s < 10 ? 1 : 0)} ${t("s")}`;
  if (s < 5400) return `${decimal(s / 60, s < 600 ? 1 : 0)} ${t("min")}`;
  if (s < 172800) return `${decimal(s / 3600, 1)} ${t("h")}`;
  return `${decimal(s / 86400, 0)} ${t("d")}`;
}

export const zoneName = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
