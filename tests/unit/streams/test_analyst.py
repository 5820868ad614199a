"""The analyser that asks a model: outages wait, a dialogue's own failures are final, money is counted and capped."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest

from schemas.errors import TransientFailure
from streams.upsell.costs import Price, Tariff
from streams.workers.analyst import ModelAnalyst, ModelOptions, RulesAnalyst
from streams.workers.ledger import Ledger
from tests.drivers.language_model import VERDICT, LanguageModel, request


class Waits(list):
    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def analyst(model: LanguageModel, folder: Path, waits: Waits | None = None, **options) -> ModelAnalyst:
    chosen = ModelOptions(api_key="k", tariff=Tariff({"gpt-4o-mini": Price(100, 1000)}), **options)
    return ModelAnalyst(chosen, Ledger(folder), client=model.client(), pause=Waits() if waits is None else waits)


async def test_a_verdict_comes_back_with_its_model_version_and_cost(tmp_path):
    model = LanguageModel([VERDICT])
    answer = await analyst(model, tmp_path)(request())
    assert answer["kind"] == "analysed"
    assert answer["verdict"] == VERDICT
    assert (answer["analyser"], answer["model"], answer["prompt_version"]) == ("openai", "gpt-4o-mini", "v1")
    assert (answer["prompt_tokens"], answer["completion_tokens"], answer["cost_micros"]) == (1000, 100, 200_000)
    (asked,) = model.asked
    assert asked["temperature"] == 0.3
    assert asked["response_format"]["json_schema"]["name"] == "upsell_eval"
    assert asked["response_format"]["json_schema"]["strict"] is True


async def test_nonsense_is_asked_again_without_the_schema_and_both_calls_are_paid(tmp_path):
    model = LanguageModel(["Конечно!", VERDICT])
    answer = await analyst(model, tmp_path)(request())
    assert answer["kind"] == "analysed"
    assert answer["cost_micros"] == 400_000
    assert [one["response_format"]["type"] for one in model.asked] == ["json_schema", "json_object"]


async def test_a_server_without_schemas_is_asked_in_plain_json_mode(tmp_path):
    model = LanguageModel(["400 response_format json_schema is not supported", VERDICT])
    assert (await analyst(model, tmp_path)(request()))["kind"] == "analysed"
    assert model.asked[1]["response_format"] == {"type": "json_object"}


async def test_nonsense_for_ever_fails_the_dialogue_and_says_what_it_cost(tmp_path):
    answer = await analyst(LanguageModel(["nonsense"]), tmp_path)(request())
    assert answer["kind"] == "failed"
    assert "3 attempts" in answer["error"]
    assert answer["cost_micros"] == 600_000


async def test_a_refused_dialogue_fails_at_once(tmp_path):
    model = LanguageModel(["400 content is not allowed"])
    assert (await analyst(model, tmp_path)(request()))["kind"] == "failed"
    assert len(model.asked) == 1


@pytest.mark.parametrize("said", ["400 bad input: {}", "400 format of {} is wrong", '{{"attempted": "{}"}}'])
async def test_what_was_said_is_not_repeated_in_why_it_failed(tmp_path, said):
    asked = request()
    answer = await analyst(LanguageModel([said.format(asked["text"])]), tmp_path)(asked)
    assert answer["kind"] == "failed"
    assert "капучино" not in answer["error"]
    assert "repeat the dialogue" in answer["error"]


async def test_nor_is_it_told_with_an_outage(tmp_path, caplog):
    class Echo(LanguageModel):
        def _answer(self, request):
            self.asked.append(json.loads(request.content))
            return httpx2.Response(503, text=request.content.decode())

    with pytest.raises(TransientFailure) as failure:
        await analyst(Echo([]), tmp_path)(request())
    assert "status 503" in str(failure.value)
    for told in (str(failure.value), caplog.text):
        assert "десерт" not in told
        assert "\\u0434" not in told


@pytest.mark.parametrize("trouble", [429, 500, 503, httpx2.ConnectError("refused")])
async def test_an_outage_is_waited_out_and_then_given_back_to_the_stream(tmp_path, trouble):
    waits = Waits()
    model = LanguageModel([trouble])
    with pytest.raises(TransientFailure):
        await analyst(model, tmp_path, waits)(request())
    assert waits == [1.0, 2.0]
    assert len(model.asked) == 3


async def test_a_short_outage_costs_a_wait(tmp_path):
    waits = Waits()
    assert (await analyst(LanguageModel([503, VERDICT]), tmp_path, waits)(request()))["kind"] == "analysed"
    assert waits == [1.0]


@pytest.mark.parametrize("refusal", [401, 403])
async def test_a_wrong_key_burns_no_backlog(tmp_path, refusal):
    with pytest.raises(TransientFailure, match="OPENAI_API_KEY"):
        await analyst(LanguageModel([refusal]), tmp_path)(request())


async def test_a_model_too_slow_for_a_dialogue_fails_it(tmp_path):
    model = LanguageModel([httpx2.ReadTimeout("slow")])
    answer = await analyst(model, tmp_path)(request())
    assert answer["kind"] == "failed"
    assert "60 s" in answer["error"]
    assert len(model.asked) == 3


async def test_the_days_budget_is_not_passed_and_a_restart_remembers_it(tmp_path):
    model = LanguageModel([VERDICT])
    options = {"daily_budget_usd": 1.4, "at_once": 1, "completion_tokens": 100}
    kinds = [(await analyst(model, tmp_path, **options)(request()))["kind"] for _ in range(8)]
    assert kinds[0] == "analysed"
    assert kinds[-1] == "skipped"
    assert Ledger(tmp_path).today() <= 1_400_000
    assert len(model.asked) == kinds.count("analysed")
    reason = (await analyst(model, tmp_path, **options)(request()))["reason"]
    assert reason.startswith("daily_budget_reached (")


async def test_a_full_disk_does_not_lose_the_answer_that_is_paid_for(tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    model = LanguageModel([VERDICT])
    one = analyst(model, tmp_path, daily_budget_usd=0.5, at_once=1, completion_tokens=100)
    with monkeypatch.context() as broken:
        broken.setattr("streams.workers.ledger.os.write", full)
        assert (await one(request()))["kind"] == "analysed"
    assert "No space left" in caplog.text
    assert one._ledger.today() == 200_000
    while (await one(request()))["kind"] == "analysed":
        assert len(model.asked) < 9
    assert one._ledger.today() <= 500_000


async def test_another_model_and_version_can_be_asked_for(tmp_path):
    model = LanguageModel([VERDICT])
    answer = await analyst(model, tmp_path)(request(model="gpt-4o"))
    assert (answer["model"], model.asked[0]["model"]) == ("gpt-4o", "gpt-4o")
    failed = await analyst(model, tmp_path)(request(prompt_version="v99"))
    assert (failed["kind"], failed["error"]) == ("failed", "There is no prompt version 'v99'.")


async def test_an_endless_transcript_is_not_sent(tmp_path):
    model = LanguageModel([VERDICT])
    answer = await analyst(model, tmp_path, longest_text=100)(request(text="а" * 101))
    assert answer["reason"] == "transcript_too_long (101 chars)"
    assert not model.asked


async def test_the_key_is_in_no_representation(tmp_path):
    assert "sk-secret" not in repr(ModelOptions(api_key="sk-secret"))


async def test_rules_answer_the_same_shape_for_nothing():
    answer = await RulesAnalyst()(request())
    assert answer["kind"] == "analysed"
    assert answer["verdict"].keys() == VERDICT.keys()
    assert (answer["analyser"], answer["model"]) == ("rules", "rules-v1")


def test_a_ledger_begins_anew_each_day_and_survives_a_torn_line(tmp_path):
    days = ["2026-01-01"]
    ledger = Ledger(tmp_path, day=lambda: days[-1])
    ledger.add("a", 5)
    with (tmp_path / "2026-01-01.jsonl").open("a") as file:
        file.write('["b", 7')
    restarted = Ledger(tmp_path, day=lambda: days[-1])
    restarted.add("b", 7)
    assert Ledger(tmp_path, day=lambda: days[-1]).today() == 12
    days.append("2026-01-02")
    assert ledger.today() == 0
    ledger.add("c", 3)
    assert json.loads((tmp_path / "2026-01-02.jsonl").read_text()) == ["c", 3]
