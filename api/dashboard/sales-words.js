// The words of the sales page in its two languages; numbers and times in the site's zone. The choice is shared with /ui.

import { learn, locale, t } from "./language.js";

export { count, locale, t } from "./language.js";

learn({
  en: {
    skip: "Skip to the day", tagline: "What is said, and offered, at the counter",
    signIn: "Sign in", adminToken: "ADMIN_TOKEN", orUser: "or", userName: "User name", password: "Password", enter: "Enter",
    wrongUser: "Incorrect user name or password.", tooMany: "Too many attempts. Wait a little.",
    live: "Live", polling: "Asking every 5 s", away: "Server does not answer", connecting: "Connecting",
    unavailable: "The database does not answer just now.", unauthorized: "Please sign in again.",
    failed: "The server refused the question.", gone: "This dialogue is not there any more.",
    earlier: "The day before", later: "The day after", day: "Day", point: "Point of sale", allPoints: "All points",
    dialogues: "Dialogues", dialogue: "Dialogue", search: 'Words in any form; "a phrase"; -without', allDays: "all days",
    attempted: "Offer", quality: "Quality", any: "any", yes: "offered", no: "not offered", uncertain: "uncertain",
    accepted: "accepted", rejected: "rejected", unclear: "reaction unclear",
    total: "dialogues", analysed: "analysed", attempts: "offers", ofAnalysed: "of the analysed", avgQuality: "average quality", outOf: "of 3",
    acceptedCount: "accepted", ofDecided: "of those decided",
    byHour: "By hour", categories: "What was offered", qualities: "Quality", allDialogues: "dialogues", withOffer: "with an offer",
    zone: "times in", emptyDay: "No dialogue on this day.", noCategories: "Nothing was offered.",
    emptyList: "No dialogue matches.", choose: "Choose a dialogue from the list.",
    PENDING: "waiting", PROCESSING: "in work", SKIPPED: "skipped", ERROR: "analysis failed", FAILED: "not transcribed", OPEN: "still talking",
    FLAGGED: "flagged", RESOLVED: "settled", closing: "closing question", corrected: "corrected by a person", forgotten: "The words are forgotten.",
    noText: "Not transcribed yet.", noSpeech: "No word was understood.", transcript: "What was said", verdict: "Verdict", quotes: "Evidence", segments: "In order of time", listen: "Listen", noAudio: "The recording cannot be played.",
    versions: "Analyses", model: "Model", prompt: "Prompt", cost: "Cost", current: "current", revision: "revision", confidence: "confidence", evidence: "event", notInText: "not in the text as it is now",
    coffee_size: "larger size", dessert: "dessert", pastry: "pastry", add_ons: "add-ons", syrup: "syrup", combo: "combo", takeaway: "takeaway", other_category: "other",
    s: "s", min: "min",
  },
  ru: {
    skip: "К дню", tagline: "Что говорят и предлагают у прилавка",
    signIn: "Вход", adminToken: "ADMIN_TOKEN", orUser: "или", userName: "Имя пользователя", password: "Пароль", enter: "Войти",
    wrongUser: "Неверное имя или пароль.", tooMany: "Слишком много попыток. Подождите немного.",
    live: "В эфире", polling: "Опрос каждые 5 с", away: "Сервер не отвечает", connecting: "Соединение",
    unavailable: "База данных сейчас не отвечает.", unauthorized: "Войдите снова.",
    failed: "Сервер отклонил запрос.", gone: "Этого диалога больше нет.",
    earlier: "Предыдущий день", later: "Следующий день", day: "День", point: "Точка продаж", allPoints: "Все точки",
    dialogues: "Диалоги", dialogue: "Диалог", search: "Слова в любой форме; «\"фраза\"»; -без", allDays: "все дни",
    attempted: "Предложение", quality: "Качество", any: "любое", yes: "предложено", no: "не предложено", uncertain: "неясно",
    accepted: "принято", rejected: "отклонено", unclear: "реакция неясна",
    total: "диалогов", analysed: "разобрано", attempts: "предложений", ofAnalysed: "от разобранных", avgQuality: "среднее качество", outOf: "из 3",
    acceptedCount: "принято", ofDecided: "от решённых",
    byHour: "По часам", categories: "Что предлагали", qualities: "Качество", allDialogues: "диалоги", withOffer: "с предложением",
    zone: "время:", emptyDay: "В этот день диалогов нет.", noCategories: "Ничего не предлагали.",
    emptyList: "Таких диалогов нет.", choose: "Выберите диалог из списка.",
    PENDING: "ждёт", PROCESSING: "в работе", SKIPPED: "пропущен", ERROR: "разбор не удался", FAILED: "не распознан", OPEN: "ещё говорят",
    FLAGGED: "на проверке", RESOLVED: "проверен", closing: "завершающий вопрос", corrected: "исправлено человеком", forgotten: "Слова забыты.",
    noText: "Ещё не распознан.", noSpeech: "Ни слова не разобрать.", transcript: "Что было сказано", verdict: "Оценка", quotes: "Доказательства", segments: "По порядку", listen: "Слушать", noAudio: "Запись не воспроизводится.",
    versions: "Разборы", model: "Модель", prompt: "Промпт", cost: "Цена", current: "текущий", revision: "редакция", confidence: "уверенность", evidence: "событие", notInText: "нет в нынешнем тексте",
    coffee_size: "размер", dessert: "десерт", pastry: "выпечка", add_ons: "добавки", syrup: "сироп", combo: "комбо", takeaway: "с собой", other_category: "другое",
    s: "с", min: "мин",
  },
});

let zone = "Europe/Belgrade";

export const category = (name) => t(name === "other" ? "other_category" : name);
export const zoneName = () => zone;
export const setZone = (name) => {
  zone = name;
};

export const decimal = (x, digits) => new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(x);
export const percent = (x) => new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 1 }).format(x);
const format = (options) => new Intl.DateTimeFormat(locale(), { timeZone: zone, ...options });
export const clock = (time) => format({ hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(new Date(time));
export const dayAndClock = (time) => format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(new Date(time));
export const dayName = (day) => new Intl.DateTimeFormat(locale(), { timeZone: "UTC", weekday: "long", day: "numeric", month: "long", year: "numeric" }).format(new Date(`${day}T00:00:00Z`));
// Today in the zone, as YYYY-MM-DD.
export const today = () => new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(new Date());
export const seconds = (s) => (s < 90 ? `${decimal(s, s < 10 ? 1 : 0)} ${t("s")}` : `${decimal(s / 60, 1)} ${t("min")}`);
