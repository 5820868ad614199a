"""A verdict by rules, for whoever has no language model: words of offers, goods and answers in three languages. Pure.

It says that it is one (`analyser` rules). It reads sentence by sentence: a sentence is an offer when it has words of
offering and a thing to offer, its quality is how concrete and how well founded it is, the answer is looked for in the
sentences after it. It knows no speakers, so a customer who asks for a cake in an offer's words is taken for a seller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from streams.upsell.verdict import CATEGORIES, QUOTE_CHARACTERS, QUOTES, Verdict, tidy

NAME: Final = "rules"
VERSION: Final = "rules-v1"
CONFIDENCE: Final = 0.5
ANSWER_SENTENCES: Final = 3
QUOTE_WORDS: Final = 12


def _any(*patterns: str) -> re.Pattern[str]:
    """One pattern of many; each begins at the beginning of a word."""
    return re.compile(r"(?<!\w)(?:" + "|".join(patterns) + ")")


GOODS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "coffee_size": _any(
            r"больш(?:ой|ую|ая|ое)\b",
            r"средн(?:ий|юю|яя)\b",
            r"побольше",
            r"large",
            r"bigger",
            r"medium\b",
            r"grande",
            r"velik[iuao]\b",
            r"srednj",
            r"već[aiu]\b",
            r"велик[иуао]\b",
            r"средњ",
            r"већ[аиу]\b",
        ),
        "dessert": _any(
            r"десерт",
            r"торт",
            r"чизкейк",
            r"пирожн",
            r"мороженое",
            r"dessert",
            r"cheesecake",
            r"cake",
            r"ice cream",
            r"brownie",
            r"cookie",
            r"tort[aue]",
            r"kolač",
            r"kolac",
            r"desert",
            r"sladoled",
            r"колач",
            r"сладолед",
        ),
        "pastry": _any(
            r"выпечк",
            r"круассан",
            r"булоч",
            r"пирож(?:ок|к)",
            r"слойк",
            r"сэндвич",
            r"бутерброд",
            r"croissant",
            r"pastr",
            r"muffin",
            r"bagel",
            r"sandwich",
            r"peciv",
            r"kroasan",
            r"kifl",
            r"pit[aue]\b",
            r"пецив",
            r"кроасан",
        ),
        "add_ons": _any(
            r"добав",
            r"взбит",
            r"сливк",
            r"маршмеллоу",
            r"молок",
            r"extra",
            r"add\b",
            r"whipped",
            r"cream\b",
            r"topping",
            r"milk",
            r"doda(?:t|m|j|ci)",
            r"šlag",
            r"slag\b",
            r"mlek",
            r"додат",
            r"шлаг",
            r"млек",
        ),
        "syrup": _any(r"сироп", r"syrup", r"sirup", r"сируп"),
        "combo": _any(r"комбо", r"набор", r"combo", r"meal deal", r"set\b", r"kombo", r"меню дня"),
        "takeaway": _any(r"с собой", r"навынос", r"на вынос", r"to go\b", r"take ?away", r"za poneti", r"за понети"),
    }
)
"""What can be offered, in Russian, English and Serbian (Latin and Cyrillic), by the contract's categories."""

OFFERING: Final = _any(
    r"не ?желаете", r"желаете", r"не ?хотите", r"хотите", r"попробу[йю]", r"рекоменду", r"советую", r"предлож",
    r"могу предложить", r"возьм[иё]те", r"может(?: быть)?,? ", r"будете", r"давайте (?:добав|я)", r"добавить",
    r"would you like", r"do you want", r"can i (?:get|offer|interest)", r"how about", r"what about",
    r"try (?:our|the|a)",
    r"recommend", r"maybe (?:a|some)", r"care for", r"fancy", r"shall i add", r"make (?:it|that) a",
    r"(?:da li )?(?:želite|zelite|hoćete|hocete)", r"probajte", r"preporuč", r"preporuc", r"možda", r"mozda",
    r"da (?:vam )?dodam", r"uz to", r"(?:да ли )?(?:желите|хоћете)", r"пробајте", r"препоруч", r"можда", r"уз то",
)  # fmt: skip

CLOSING: Final = _any(
    r"(?:что|чего)[- ]?(?:нибудь|либо|то)? (?:ещ[её]|еще)", r"(?:ещ[её]|еще) (?:что|чего)", r"это (?:вс[её]|все)\b",
    r"на этом (?:вс[её]|все)", r"anything else", r"something else", r"will that be all", r"is that (?:all|everything)",
    r"(?:još|jos) (?:nešto|nesto)", r"to je sve", r"још нешто", r"то је све",
)  # fmt: skip

REASON: Final = _any(
    r"потому что", r"отлично (?:подойд|подход|сочета)", r"подойд[её]т к", r"сочета[ею]т", r"свеж", r"сегодня",
    r"вкусн", r"выгодн", r"дешевле", r"скидк", r"акци[яию]", r"специально", r"ваш(?:ему|ей|им)", r"как раз",
    r"because", r"goes (?:really |very )?well", r"perfect with", r"fresh", r"today", r"cheaper", r"discount", r"save\b",
    r"delicious", r"your (?:coffee|tea|order)", r"jer\b", r"odlično (?:ide|se)", r"sveže?", r"danas", r"popust",
    r"jeftinij", r"уз (?:вашу|вашу)", r"јер\b", r"свеже?\b", r"данас", r"попуст",
)  # fmt: skip

REFUSED: Final = _any(
    r"нет\b", r"не (?:надо|нужно|хочу|буду)", r"спасибо,? не", r"в другой раз", r"no\b", r"not today", r"i'm good",
    r"i'm fine", r"just the", r"that's all", r"ne(?:,|\.|!|$| hvala| treba| želim)", r"не(?:,|\.|!|$| хвала| треба)",
)  # fmt: skip
AGREED: Final = _any(
    r"да\b", r"давайте", r"хорошо", r"конечно", r"можно\b", r"с удовольствием", r"ладно", r"угу", r"ага\b", r"беру",
    r"yes\b", r"yeah", r"sure", r"okay", r"ok\b", r"why not", r"please", r"i'll (?:take|have)", r"sounds good",
    r"da\b", r"može", r"moze\b", r"hajde", r"naravno", r"uzeću", r"važi", r"може", r"хајде", r"наравно", r"важи",
)  # fmt: skip
SERBIAN: Final = re.compile(r"[čćžšđјљњћђџ]|\b(?:da li|hvala|molim|хвала|молим)\b")
_SENTENCE: Final = re.compile(r"[^.?!…\n]+[.?!…]*")


@dataclass(frozen=True, slots=True)
class _Offer:
    place: int
    sentence: str
    categories: tuple[str, ...]
    founded: bool


def judge(segments: Sequence[Mapping[str, object]], language: str) -> Verdict:
    """The verdict on a transcript (`TranscriptWords.segments`); `language` only says in which one to sum up."""
    sentences = [sentence for segment in segments for sentence in _sentences(str(segment["text"]))]
    offers = list(_offers(sentences))
    closing = [place for place, sentence in enumerate(sentences) if CLOSING.search(_plain(sentence))]
    reaction = _reaction(sentences, [offer.place for offer in offers] or closing)
    categories = sorted({one for offer in offers for one in offer.categories}, key=CATEGORIES.index)
    quotes = [offer.sentence for offer in sorted(offers, key=lambda offer: not offer.founded)]
    quotes += [sentences[place] for place in closing if sentences[place] not in quotes]
    return tidy(
        Verdict(
            attempted=_attempted(sentences, offers, closing),
            quality_score=_quality(offers, closing),
            categories=categories,  # pyright: ignore[reportArgumentType] - they are the keys of GOODS
            closing_question=bool(closing),
            customer_reaction=reaction,
            evidence_quotes=[_short(quote) for quote in quotes[:QUOTES]],
            summary=_summary(language, " ".join(sentences), categories, reaction, bool(offers), bool(closing)),
            confidence=CONFIDENCE,
        )
    )


def _sentences(text: str) -> Iterable[str]:
    return (match.group().strip() for match in _SENTENCE.finditer(text) if match.group().strip())


def _plain(sentence: str) -> str:
    return sentence.lower().replace("ё", "е").replace("’", "'")


def _offers(sentences: Sequence[str]) -> Iterable[_Offer]:
    for place, sentence in enumerate(sentences):
        plain = _plain(sentence)
        if not (OFFERING.search(plain) or CLOSING.search(plain)) or _is_answer(plain):
            continue
        plain += " " + _goes_on(sentences, place)
        categories = tuple(name for name, goods in GOODS.items() if goods.search(plain))
        if categories:
            yield _Offer(place, sentence, categories, bool(REASON.search(plain)))


def _goes_on(sentences: Sequence[str], place: int) -> str:
    """The sentence after an offer when it is no answer: sellers ask first and praise then."""
    after = _plain(sentences[place + 1]) if place + 1 < len(sentences) else ""
    return "" if _is_answer(after) or after.endswith("?") else after


def _is_answer(plain: str) -> bool:
    """A question is none, whatever it begins with (Serbian "Da li", Russian "Давайте добавим?")."""
    return not plain.endswith("?") and bool(AGREED.match(plain) or REFUSED.match(plain))


def _attempted(
    sentences: Sequence[str], offers: Sequence[_Offer], closing: Sequence[int]
) -> Literal["yes", "no", "uncertain"]:
    if offers or closing:
        return "yes"
    offering = any(OFFERING.search(_plain(sentence)) and sentence.endswith("?") for sentence in sentences)
    return "uncertain" if offering or not sentences else "no"


def _quality(offers: Sequence[_Offer], closing: Sequence[int]) -> int:
    if not offers:
        return 1 if closing else 0
    return 3 if any(offer.founded for offer in offers) else 2


def _reaction(sentences: Sequence[str], asked: Sequence[int]) -> Literal["accepted", "rejected", "unclear"]:
    """The first clear answer after the last question that has one; a yes and a no in one sentence are a no."""
    for place in reversed(asked):
        for sentence in sentences[place + 1 : place + 1 + ANSWER_SENTENCES]:
            plain = _plain(sentence)
            if plain.endswith("?"):
                continue
            if REFUSED.search(plain):
                return "rejected"
            if AGREED.search(plain):
                return "accepted"
    return "unclear"


def _short(sentence: str) -> str:
    """The first words of a sentence, cut at a word's end."""
    words = sentence.split()
    while len(words) > QUOTE_WORDS or len(" ".join(words)) > QUOTE_CHARACTERS:
        words.pop()
    return sentence if len(words) == len(sentence.split()) else " ".join(words)


_WORDS: Final = {
    "ru": ("По правилам: ", "предложено: ", "предложения не было", "только общий вопрос", {
        "accepted": "покупатель согласился", "rejected": "покупатель отказался", "unclear": "ответ неясен",
    }),
    "sr": ("Po pravilima: ", "ponuđeno: ", "ponude nije bilo", "samo opšte pitanje", {
        "accepted": "kupac je prihvatio", "rejected": "kupac je odbio", "unclear": "odgovor je nejasan",
    }),
    "en": ("By rules: ", "offered: ", "nothing was offered", "only a general question", {
        "accepted": "the customer agreed", "rejected": "the customer declined", "unclear": "the answer is unclear",
    }),
}  # fmt: skip


def _summary(language: str, text: str, categories: Sequence[str], reaction: str, offered: bool, closing: bool) -> str:
    spoken = "sr" if SERBIAN.search(text.lower()) else language if language in _WORDS else "en"
    prefix, said, nothing, general, reactions = _WORDS[spoken]
    if not (offered or closing):
        return f"{prefix}{nothing}."
    what = said + ", ".join(categories) if offered else general
    return f"{prefix}{what}; {reactions[reaction]}."
