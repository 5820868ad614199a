// The words of the railway's page in its two languages; the choice is shared with the other pages. Times in UTC.

import { learn, locale } from "./language.js";

export { count, t } from "./language.js";

learn({
  en: {
    skip: "Skip to the lists", tagline: "Passengers, trains and shops on board",
    lists: "Lists",
    add: "Add", change: "Save", remove: "Delete", cancel: "Cancel", close: "Close", open: "Open", earlier: "Back", later: "Next", page: "Page", of: "of", download: "Download CSV", show: "Show",
    entries: "entries", empty: "Nothing here yet.", done: "Done.", sure: "This cannot be taken back.", optional: "optional",
    users: "Passengers", engineers: "Engineers", robots: "Robots", tickets: "Tickets", stores: "Stores", trains: "Stores on trains", hotels: "Hotels", attractions: "Attractions", purchases: "Purchases",
    addUser: "Add a passenger", addEngineer: "Add an engineer", addTicket: "Sell a ticket", addStore: "Add a store", addTrain: "Put a store on board", addHotel: "Add a hotel", addAttraction: "Add an attraction",
    setFace: "Set face", dropFace: "Remove face", board: "On board", privilegesOf: "Rights", cardOf: "Card", unbind: "Take off",
    name: "Name", id: "Id", login: "Login", password: "Password", face: "Picture of the face", privileges: "Rights", key: "Card (empty: none)",
    robot_model_id: "Model id", robot_model_name: "Model", user_id: "Passenger (id)", train_number: "Train", wagon_number: "Wagon", place_number: "Seat", station_id: "From", destination: "To",
    date: "Date (UTC)", start_date: "Departure of the train (UTC)", description: "Description", logo_url: "Picture", store_type: "Kind", SHOP: "shop", RESTAURANT: "restaurant",
    store_id: "Store (id)", train_date: "Train's date (UTC)", destination_id: "Destination", code: "Code", balance: "In stock", price_penny: "Price", category: "Category", total_penny: "Total", channel: "Sold by", ROBOT: "robot", STORE: "store",
    items: "Items", tasks: "Tasks", is_ready: "Done", lines: "Items", yes: "yes", no: "no", unlimited: "unlimited", store: "Store", additional_data: "More",
    itemsNote: "Items are added and changed by the store itself, once its terminal has signed in.", noItems: "This store sells nothing yet.", noTasks: "No task yet.",
    robotsNote: "Robots register themselves, with an engineer's login.", pictureNote: "JPEG or PNG with one face",
    ROBOT_LOGIN: "may register robots", STORE_LOGIN: "may register store terminals", ROBOT_ADMIN: "administers robots by card",
  },
  ru: {
    skip: "К спискам", tagline: "Пассажиры, поезда и магазины на борту",
    lists: "Списки",
    add: "Добавить", change: "Сохранить", remove: "Удалить", cancel: "Отмена", close: "Закрыть", open: "Открыть", earlier: "Назад", later: "Вперёд", page: "Страница", of: "из", download: "Скачать CSV", show: "Показать",
    entries: "записей", empty: "Здесь пока пусто.", done: "Готово.", sure: "Отменить это нельзя.", optional: "не обязательно",
    users: "Пассажиры", engineers: "Инженеры", robots: "Роботы", tickets: "Билеты", stores: "Магазины", trains: "Магазины в поездах", hotels: "Гостиницы", attractions: "Достопримечательности", purchases: "Покупки",
    addUser: "Добавить пассажира", addEngineer: "Добавить инженера", addTicket: "Продать билет", addStore: "Добавить магазин", addTrain: "Поставить в поезд", addHotel: "Добавить гостиницу", addAttraction: "Добавить место",
    setFace: "Задать лицо", dropFace: "Убрать лицо", board: "В поезд", privilegesOf: "Права", cardOf: "Карта", unbind: "Снять",
    name: "Имя или название", id: "Номер (id)", login: "Логин", password: "Пароль", face: "Снимок лица", privileges: "Права", key: "Карта (пусто: нет)",
    robot_model_id: "Номер модели", robot_model_name: "Модель", user_id: "Пассажир (id)", train_number: "Поезд", wagon_number: "Вагон", place_number: "Место", station_id: "Откуда", destination: "Куда",
    date: "Дата (UTC)", start_date: "Отправление поезда (UTC)", description: "Описание", logo_url: "Картинка", store_type: "Вид", SHOP: "магазин", RESTAURANT: "ресторан",
    store_id: "Магазин (id)", train_date: "Дата поезда (UTC)", destination_id: "Направление", code: "Код", balance: "В наличии", price_penny: "Цена", category: "Категория", total_penny: "Сумма", channel: "Продавец", ROBOT: "робот", STORE: "магазин",
    items: "Товары", tasks: "Задания", is_ready: "Выполнено", lines: "Товары", yes: "да", no: "нет", unlimited: "не кончается", store: "Магазин", additional_data: "Ещё",
    itemsNote: "Товары добавляет и меняет сам магазин, когда его терминал вошёл в систему.", noItems: "Этот магазин пока ничего не продаёт.", noTasks: "Заданий пока нет.",
    robotsNote: "Роботы регистрируются сами, по логину инженера.", pictureNote: "JPEG или PNG с одним лицом",
    ROBOT_LOGIN: "может регистрировать роботов", STORE_LOGIN: "может регистрировать терминалы магазинов", ROBOT_ADMIN: "управляет роботами по карте",
  },
});

export const money = (penny) => new Intl.NumberFormat(locale(), { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(penny / 100);

export function moment(text) {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return text;
  const format = { timeZone: "UTC", year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat(locale(), format).format(time);
}
