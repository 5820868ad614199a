"""What a passenger reads, in Russian and English. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edge_agents.robot.shapes import Item

_RU: Final = {
    "look": "Посмотрите в камеру",
    "look_hint": "Снимите очки и головной убор\nи подождите несколько секунд",
    "look_ticket": "Проверка билета",
    "look_code": "Или покажите QR-код билета",
    "welcome": "Добро пожаловать, {name}!",
    "welcome_nobody": "Добро пожаловать!",
    "seat": "Вагон {wagon}, место {place}",
    "refused": "Билет не подходит",
    "refused_hint": "Обратитесь к проводнику",
    "right_ticket": "Ваш билет: поезд {train}, вагон {wagon}, место {place}, {date}",
    "hello": "Здравствуйте, {name}!",
    "shops": "Магазины",
    "information": "Информация",
    "exit": "Выход",
    "back": "Назад",
    "no_train": "Поезд ещё не назначен",
    "waiting": "Подождите…",
    "failed": "Сейчас не получается. Попробуйте ещё раз",
    "no_store": "В этом поезде нет магазина",
    "hotels": "Гостиницы",
    "attractions": "Достопримечательности",
    "no_journey": "Мы не знаем, куда вы едете",
    "nothing": "Пока ничего нет",
    "categories": "Что вас интересует?",
    "recommendations": "Рекомендации",
    "city_souvenirs": "Городские сувениры",
    "train_souvenirs": "Железнодорожные сувениры",
    "food": "Закуски",
    "search": "Поиск",
    "balance": "В наличии: {count}",
    "buy": "Купить",
    "bought": "Куплено",
    "sold_out": "Закончилось",
    "not_bought": "Покупка не состоялась",
    "unknown": "Ответа нет. Нажмите ещё раз: второй раз не купится",
}
_EN: Final = {
    "look": "Look into the camera",
    "look_hint": "Take off your glasses and hat\nand wait a few seconds",
    "look_ticket": "Ticket check",
    "look_code": "Or show the QR code of your ticket",
    "welcome": "Welcome, {name}!",
    "welcome_nobody": "Welcome!",
    "seat": "Wagon {wagon}, seat {place}",
    "refused": "This ticket is not valid here",
    "refused_hint": "Please ask the conductor",
    "right_ticket": "Your ticket: train {train}, wagon {wagon}, seat {place}, {date}",
    "hello": "Hello, {name}!",
    "shops": "Shops",
    "information": "Information",
    "exit": "Exit",
    "back": "Back",
    "no_train": "The train is not set yet",
    "waiting": "Please wait…",
    "failed": "That did not work. Please try again",
    "no_store": "There is no shop on this train",
    "hotels": "Hotels",
    "attractions": "Sights",
    "no_journey": "We do not know where you are going",
    "nothing": "Nothing here yet",
    "categories": "What are you looking for?",
    "recommendations": "Recommended",
    "city_souvenirs": "City souvenirs",
    "train_souvenirs": "Railway souvenirs",
    "food": "Snacks",
    "search": "Search",
    "balance": "In stock: {count}",
    "buy": "Buy",
    "bought": "Bought",
    "sold_out": "Sold out",
    "not_bought": "The purchase did not go through",
    "unknown": "No answer. Press again: it will not be bought twice",
}
TEXTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({"ru": _RU, "en": _EN})


def price(item: Item) -> str:
    """Kopecks as roubles: whole ones alone, else with two digits of kopecks."""
    roubles, kopecks = divmod(item.price_penny, 100)
    return f"{roubles}.{kopecks:02d} ₽" if kopecks else f"{roubles} ₽"


def found(items: tuple[Item, ...], wanted: str) -> tuple[Item, ...]:
    """Items whose name or description holds all the words."""
    words = wanted.casefold().split()
    return tuple(one for one in items if all(word in f"{one.name} {one.description}".casefold() for word in words))
