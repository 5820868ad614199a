// The words of the page of security in its two languages; the choice is shared with the other pages. Local times.

import { learn, locale } from "./language.js";

export { count, t } from "./language.js";

learn({
  en: {
    skip: "Skip to the alerts", tagline: "What the cameras noticed",
    tokenAsk: "What was noticed of people is shown with a token:",
    alerts: "Alerts", shown: "What is shown", all: "All", deviance: "Signals", threat: "Threats", unsettled: "Not dealt with", empty: "Nothing was noticed yet.", entries: "shown", waiting: "not dealt with",
    online: "live", offline: "reconnecting …", devianceTitle: "Deviant behaviour", threatTitle: "Unwanted person", noFrame: "no picture", frameOf: "Key frame of", unknownPerson: "name unknown",
    score: "score", seenTimes: "seen", participants: "people", going: "going on", until: "until", muted: "muted", low: "low", medium: "medium", high: "high",
    open: "new", acknowledged: "acknowledged", escalated: "escalated", resolved: "resolved", by: "by", level: "danger",
    acknowledge: "Acknowledge", escalate: "Escalate", resolve: "Resolve", mute: "Mute 30 min", details: "Details", hide: "Hide", note: "A note for the others (may stay empty):", mutedNow: "The camera is not heard of for 30 minutes.",
    reason: "Why watched", instruction: "What to do", ticket: "Ticket of today", noTicket: "none", train: "train", wagon: "wagon", place: "place", used: "on board", model: "Model", history: "History", distance: "Distance of faces",
    AlertRaised: "raised", AlertUpdated: "more", AlertSettled: "dealt with",
    parts: "Parts of the page", cameras: "Cameras", watched: "Watch list", entry: "Watch list entry",
    add: "Add", edit: "Change", save: "Save", cancel: "Cancel", remove: "Delete", saved: "Saved.", removed: "Deleted.", discard: "What you began to write here is not saved. Give it up?",
    addCamera: "Add a camera", editCamera: "How a camera is watched", noCameras: "No camera is configured yet: every one that sends anything is watched, always.", timesOf: "hours are those of", sureCamera: "Its alerts stay; whatever it still sends is watched always. Delete the settings of the camera?",
    camera_id: "Camera's id", cameraIdHint: "The name under which the camera sends; it cannot be changed later.", cameraName: "Name", location: "Where it hangs",
    watchDeviance: "Deviant behaviour", watchFaces: "Faces", watchNothing: "nothing is looked for", deviance_on: "A signal begins at", onHint: "A score from 0 to 1.", deviance_off: "A signal ends below", offHint: "Not above the score at which it begins.",
    device_id: "Device", deviceHint: "Who sends for it; empty: the camera itself.", source: "Source", sourceHint: "Looked at from here: rtsp://…, a camera's number, a file on the server. Empty: a device sends its pictures.",
    schedule: "When it is watched", scheduleHint: "No hours: always. An end that is not after its start is on the next day.", addHours: "Add hours", removeHours: "Remove these hours", from: "from", to: "to", line: "Hours", always: "always", daily: "daily", never: "no day",
    day0: "Mon", day1: "Tue", day2: "Wed", day3: "Thu", day4: "Fri", day5: "Sat", day6: "Sun",
    muteCamera: "Mute", muteWhat: "What is not to be heard", mute_all: "everything", mute_deviance: "signals", mute_threat: "threats", minutes: "Minutes", mutedForever: "Until somebody lets it be heard again", forever: "until it is lifted", hear: "Unmute", heardAgain: "The camera is heard again.",
    addWatched: "Watch for somebody", editWatched: "Entry of the watch list", unwatch: "Take off", nobodyWatched: "Nobody is watched for.", watchedNote: "who has no face in the railway's gallery is never recognised", danger: "Danger", since: "since",
    sureWatched: "Take off the watch list?", passengerId: "Passenger's id", passengerHint: "Such as 0f9d3c1e-5b7a-4c2d-9e8f-1a2b3c4d5e6f, or look for the name here:", passengerName: "Passenger's name", find: "Find", lookFurther: "Look further",
    foundPeople: "found:", foundNobody: "Nobody is called so.", foundNobodyYet: "Nobody so far.", lookedAt: "looked at", noPassengers: "Passengers cannot be looked for with this sign-in; their id is enough.",
    markedWrong: "Nothing was saved: see what is marked.", tokenAbove: "This server wants a token: give it at the top of the page, then try again.", forbidden: "Your roles do not allow this.", conflict: "It has changed meanwhile: look again.", tooLarge: "That is too much for the server.", gone: "It is not there any more.", broken: "Something is wrong with this page itself. Load it anew.",
    needed: "This must not stay empty.", notNumber: "This must be a number.", tooLow: "At least {n}.", tooHigh: "At most {n}.", tooLong: "At most {n} characters.", badTime: "Give both times, such as 22:00.", needDays: "Choose at least one day.", badSchedule: "These hours cannot be understood.", offAboveOn: "A signal cannot end above the score at which it begins.",
    badId: "An id has no slash in it.", knownCamera: "There is a camera of this id already: change that one.", noCamera: "This camera is not configured any more.", badUuid: "This is no passenger's id: it has 32 digits and letters a to f, in five groups.", knownWatched: "This person is on the watch list already: change that entry.", noWatched: "This person is not on the watch list any more.",
  },
  ru: {
    skip: "К тревогам", tagline: "Что заметили камеры",
    tokenAsk: "Замеченное о людях видно по токену:",
    alerts: "Тревоги", shown: "Что показано", all: "Все", deviance: "Сигналы", threat: "Угрозы", unsettled: "Не разобраны", empty: "Пока ничего не замечено.", entries: "показано", waiting: "не разобрано",
    online: "на связи", offline: "связь восстанавливается …", devianceTitle: "Девиантное поведение", threatTitle: "Нежелательное лицо", noFrame: "нет снимка", frameOf: "Ключевой кадр:", unknownPerson: "имя неизвестно",
    score: "оценка", seenTimes: "замечен раз:", participants: "участников:", going: "продолжается", until: "до", muted: "без звука", low: "низкая", medium: "средняя", high: "высокая",
    open: "новая", acknowledged: "принята", escalated: "передана выше", resolved: "закрыта", by: "кем:", level: "опасность",
    acknowledge: "Принять", escalate: "Передать выше", resolve: "Закрыть", mute: "Тишина 30 мин", details: "Подробнее", hide: "Скрыть", note: "Заметка для других (можно оставить пустой):", mutedNow: "Камера молчит 30 минут.",
    reason: "Почему ищут", instruction: "Что делать", ticket: "Билет на сегодня", noTicket: "нет", train: "поезд", wagon: "вагон", place: "место", used: "в поезде", model: "Модель", history: "Что было", distance: "Расстояние лиц",
    AlertRaised: "поднята", AlertUpdated: "дополнена", AlertSettled: "разобрана",
    parts: "Части страницы", cameras: "Камеры", watched: "Нежелательные лица", entry: "Запись списка",
    add: "Добавить", edit: "Изменить", save: "Сохранить", cancel: "Отмена", remove: "Удалить", saved: "Сохранено.", removed: "Удалено.", discard: "Написанное здесь не сохранено. Отказаться от него?",
    addCamera: "Добавить камеру", editCamera: "Как следит камера", noCameras: "Ни одна камера не настроена: следят все, кто что-либо присылает, и всегда.", timesOf: "время:", sureCamera: "Её тревоги останутся; за тем, что она ещё пришлёт, следят всегда. Удалить настройки камеры?",
    camera_id: "Номер камеры (id)", cameraIdHint: "Имя, под которым камера присылает; потом его не изменить.", cameraName: "Название", location: "Где висит",
    watchDeviance: "Девиантное поведение", watchFaces: "Лица", watchNothing: "ничего не ищут", deviance_on: "Сигнал начинается от", onHint: "Оценка от 0 до 1.", deviance_off: "Сигнал кончается ниже", offHint: "Не выше оценки, с которой он начинается.",
    device_id: "Устройство", deviceHint: "Кто присылает за неё; пусто: сама камера.", source: "Источник", sourceHint: "Кадры берутся отсюда: rtsp://…, номер камеры, файл на сервере. Пусто: кадры присылает устройство.",
    schedule: "Когда следит", scheduleHint: "Без часов: всегда. Конец не позже начала — это уже следующий день.", addHours: "Добавить часы", removeHours: "Убрать эти часы", from: "с", to: "до", line: "Часы", always: "всегда", daily: "ежедневно", never: "ни в какой день",
    day0: "пн", day1: "вт", day2: "ср", day3: "чт", day4: "пт", day5: "сб", day6: "вс",
    muteCamera: "Заглушить", muteWhat: "Что заглушить", mute_all: "всё", mute_deviance: "сигналы", mute_threat: "угрозы", minutes: "Минут", mutedForever: "Пока звук не вернут", forever: "пока не вернут", hear: "Вернуть звук", heardAgain: "Камеру снова слышно.",
    addWatched: "Добавить человека", editWatched: "Запись списка", unwatch: "Убрать из списка", nobodyWatched: "В списке никого нет.", watchedNote: "кого нет в галерее лиц, того не узнают", danger: "Опасность", since: "с",
    sureWatched: "Убрать из списка?", passengerId: "Номер пассажира (id)", passengerHint: "Например 0f9d3c1e-5b7a-4c2d-9e8f-1a2b3c4d5e6f, или найдите по имени:", passengerName: "Имя пассажира", find: "Найти", lookFurther: "Искать дальше",
    foundPeople: "найдено:", foundNobody: "Никого с таким именем нет.", foundNobodyYet: "Пока никого.", lookedAt: "просмотрено", noPassengers: "С этим входом искать пассажиров нельзя; достаточно номера.",
    markedWrong: "Ничего не сохранено: смотрите отмеченное.", tokenAbove: "Сервер требует токен: укажите его вверху страницы и повторите.", forbidden: "Ваши роли этого не позволяют.", conflict: "Здесь уже всё изменилось: посмотрите ещё раз.", tooLarge: "Для сервера это слишком много.", gone: "Этого больше нет.", broken: "Неполадка в самой странице. Загрузите её заново.",
    needed: "Здесь не может быть пусто.", notNumber: "Здесь должно быть число.", tooLow: "Не меньше {n}.", tooHigh: "Не больше {n}.", tooLong: "Не больше {n} знаков.", badTime: "Укажите оба времени, например 22:00.", needDays: "Выберите хотя бы один день.", badSchedule: "Эти часы непонятны.", offAboveOn: "Сигнал не может кончаться выше оценки, с которой начинается.",
    badId: "В номере не может быть косой черты.", knownCamera: "Камера с таким номером уже есть: измените её.", noCamera: "Эта камера больше не настроена.", badUuid: "Это не номер пассажира: в нём 32 цифры и буквы от a до f, пятью группами.", knownWatched: "Этот человек уже в списке: измените его запись.", noWatched: "Этого человека больше нет в списке.",
  },
});

export const decimal = (x) => new Intl.NumberFormat(locale(), { maximumFractionDigits: 2 }).format(x);

export function moment(text) {
  const format = { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return new Intl.DateTimeFormat(locale(), format).format(new Date(text));
}
