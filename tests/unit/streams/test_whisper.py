"""A task goes in, a transcript comes out: what the model is asked, what becomes of its words. The model is a fake."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from streams.workers import BadInput, NotNow
from streams.workers.audio_source import AudioSource
from streams.workers.whisper import Models, Transcriber, WhisperOptions, heard_language, open_worker
from streams.workers.whisper_models import ModelMissing
from tests.drivers.speech import RATE, FakeModel, piece, ramp, stored, task, wav


def everything(samples, _cutting):
    return [(0, len(samples))]


def nothing(_samples, _cutting):
    return []


def models(tmp_path: Path, model: FakeModel, **options) -> tuple[Models, list[str]]:
    for name in ("base", "small"):
        kept = tmp_path / "cache" / f"whisper-{name}"
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "model.bin").touch()
        (kept / "config.json").touch()
    told: list[str] = []
    chosen = WhisperOptions(cache=str(tmp_path / "cache"), download=False, **options)
    return Models(chosen, told.append, lambda _folder, _options: model), told


def hears(tmp_path: Path, model: FakeModel, find=everything, **options) -> Transcriber:
    chosen = WhisperOptions(cache=str(tmp_path / "cache"), download=False, worker="w1", **options)
    made, _ = models(tmp_path, model)
    return Transcriber(chosen, made, AudioSource(str(tmp_path), None), find_speech=find)


@pytest.fixture(autouse=True)
def no_packages(monkeypatch):
    monkeypatch.setattr("streams.workers.whisper_models._parts", lambda _: [])


def claim(tmp_path: Path, length_s: float = 6.0) -> dict:
    return stored(tmp_path, wav(ramp(length_s)), "c")


def test_a_dialogue_is_heard(tmp_path):
    model = FakeModel()
    heard = hears(tmp_path, model)(task([piece(claim(tmp_path), 0, 6000)]))
    assert heard["text"] == "Один капучино, пожалуйста."
    assert (heard["language"], heard["model"], heard["worker"]) == ("ru", "base", "w1")
    assert (heard["audio_s"], heard["avg_logprob"], heard["no_speech_prob"]) == (6.0, -0.3, 0.02)
    (segment,) = heard["segments"]
    assert (segment["id"], segment["start"], segment["end"]) == (0, 0.0, 0.7)
    assert [word["word"] for word in segment["words"]] == [" Один", " капучино,", " пожалуйста."]
    (call,) = model.calls
    assert call["condition_on_previous_text"] is False
    assert (call["beam_size"], call["word_timestamps"], call["language"]) == (5, True, "ru")
    assert call["hallucination_silence_threshold"] == 2.0


def test_long_dialogues_are_heard_in_clips_with_times_of_the_whole(tmp_path):
    model = FakeModel(texts=("Здравствуйте.", "Спасибо."))
    heard = hears(tmp_path, model)(task([piece(claim(tmp_path, 31.0), 0, 31_000)]))
    assert [call["length_s"] for call in model.calls] == [28.0, 3.0]
    assert heard["text"] == "Здравствуйте. Спасибо."
    assert [(one["id"], one["start"]) for one in heard["segments"]] == [(0, 0.0), (1, 28.0)]


def test_nothing_is_listened_to_after_a_segment_that_reaches_the_end(tmp_path):
    asked: list[float] = []

    class Tail(FakeModel):
        def transcribe(self, audio, **options):
            def windows():
                for end in (3.0, 5.8, 6.0):
                    asked.append(end)
                    word = SimpleNamespace(start=end - 1, end=end, word=f" {end}", probability=0.9)
                    yield SimpleNamespace(
                        start=end - 1, end=end, text=f" {end}", avg_logprob=-0.1, no_speech_prob=0.0, words=[word]
                    )

            return windows(), None

    heard = hears(tmp_path, Tail())(task([piece(claim(tmp_path), 0, 6000)]))
    assert (heard["text"], asked) == ("3.0 5.8", [3.0, 5.8])


def test_silence_is_an_empty_text_and_costs_no_model(tmp_path):
    model = FakeModel()
    heard = hears(tmp_path, model, nothing)(task([piece(claim(tmp_path), 0, 6000)]))
    assert (heard["text"], heard["segments"], heard["avg_logprob"], heard["no_speech_prob"]) == ("", [], None, None)
    assert heard["language"] == "ru"
    assert model.calls == []


def test_what_nobody_said_is_counted_and_left_out(tmp_path):
    model = FakeModel(texts=("Субтитры сделал DimaTorzok", "нет " * 9))
    heard = hears(tmp_path, model)(task([piece(claim(tmp_path, 30.0), 0, 30_000)]))
    assert heard["text"] == "нет"
    assert (heard["phantoms"], heard["repetitions"]) == (1, 8)


def test_a_language_that_is_set_is_not_guessed(tmp_path):
    model = FakeModel(languages={"en": 0.99})
    heard = hears(tmp_path, model, language="de")(task([piece(claim(tmp_path), 0, 6000)]))
    assert heard["language"] == model.calls[0]["language"] == "de"


@pytest.mark.parametrize(
    ("seconds", "chances", "language"),
    [
        (10, {"sr": 0.8, "ru": 0.1}, "sr"),
        (10, {"sr": 0.4, "ru": 0.3, "en": 0.1}, "ru"),  # unsure: one of the usual
        (3, {"nn": 0.9, "en": 0.06, "ru": 0.01}, "en"),  # too short to be believed
    ],
)
def test_the_usual_languages_decide_where_little_is_heard(seconds, chances, language):
    sound = np.zeros(seconds * RATE, dtype=np.float32)
    assert heard_language(FakeModel(languages=chances), sound, ("ru", "en")) == (language, chances[language])


def test_without_usual_languages_the_guess_is_taken():
    assert heard_language(FakeModel(languages={"nn": 0.2}), np.zeros(RATE, dtype=np.float32), ()) == ("nn", 0.2)


def test_the_accurate_model_is_loaded_when_it_is_first_asked(tmp_path):
    made, told = models(tmp_path, FakeModel())
    made.prepare_accurate()
    assert made.accurate_available
    assert told == []
    made.get("ACCURATE")
    made.get("ACCURATE")
    assert len([line for line in told if "loaded" in line]) == 1


def test_a_missing_accurate_model_is_told_once_and_nothing_is_promised(tmp_path):
    made, told = models(tmp_path, FakeModel(), accurate="large-v3")
    made.prepare_accurate()
    assert not made.accurate_available
    assert [line for line in told if "No second pass" in line] == told != []


@pytest.mark.parametrize("accurate", ["", "base"])
def test_no_second_model_no_second_pass(tmp_path, accurate):
    made, told = models(tmp_path, FakeModel(), accurate=accurate)
    made.prepare_accurate()
    assert (made.accurate_available, told) == (False, [])


def test_the_second_pass_is_the_accurate_models(tmp_path):
    heard = hears(tmp_path, FakeModel())(task([piece(claim(tmp_path), 0, 6000)], asr_pass="ACCURATE"))
    assert heard["model"] == "small"


def test_a_broken_accurate_model_ends_second_passes_and_holds_nothing_up(tmp_path):
    model = FakeModel()

    def load(folder: str, _):
        if folder.endswith("small"):
            raise ModelMissing("it cannot be loaded")
        return model

    _, told = models(tmp_path, model)
    chosen = WhisperOptions(cache=str(tmp_path / "cache"), download=False)
    transcriber = Transcriber(
        chosen, Models(chosen, told.append, load), AudioSource(str(tmp_path), None), find_speech=everything
    )
    pieces = [piece(claim(tmp_path), 0, 6000)]
    assert transcriber(task(pieces))["accurate_available"]
    with pytest.raises(BadInput, match="no second pass: it cannot be loaded"):
        transcriber(task(pieces, asr_pass="ACCURATE"))
    assert not transcriber(task(pieces))["accurate_available"]
    assert any("No second pass" in line for line in told)


def test_no_task(tmp_path):
    with pytest.raises(BadInput, match="no transcription task"):
        hears(tmp_path, FakeModel())({"task_id": "d/1/FAST"})


def test_audio_that_was_deleted_is_hopeless_one_out_of_reach_is_not(tmp_path):
    lost = claim(tmp_path)
    (tmp_path / lost["stored_path"]).unlink()
    with pytest.raises(BadInput, match="not there any more"):
        hears(tmp_path, FakeModel())(task([piece(lost, 0, 6000)]))
    transcriber = hears(tmp_path / "gone", FakeModel())
    (tmp_path / "gone" / "cache").rename(tmp_path / "kept")
    (tmp_path / "gone").rmdir()
    with pytest.raises(NotNow):
        transcriber(task([piece(lost, 0, 6000)]))


def test_more_speech_than_may_be_is_refused(tmp_path):
    with pytest.raises(BadInput, match="at most 5 s"):
        hears(tmp_path, FakeModel(), longest_s=5.0)(task([piece(claim(tmp_path), 0, 6000)]))


def test_without_a_fast_model_there_is_no_worker(tmp_path):
    with pytest.raises(ModelMissing, match="cannot be had"):
        open_worker({"fast": "base", "cache": str(tmp_path / "empty"), "download": False})


def test_a_broken_model_is_missing_not_a_crash(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.bin").write_bytes(b"no model")
    (tmp_path / "broken" / "config.json").write_text("{}")
    with pytest.raises(ModelMissing, match="cannot be loaded"):
        open_worker({"fast": str(tmp_path / "broken"), "cache": str(tmp_path), "download": False})
