"""Texts of other languages than English: what their words are, and that equal texts never measure 0."""

import unicodedata

import pytest

from genai_lab.metrics import METRICS, measure, settings_of, tokenizing

SAME = {
    "chinese": ["我喜欢在下雨天喝热茶", "今天的会议改到下午三点"],
    "japanese": ["雨の日に熱いお茶を飲むのが好きです", "会議は午後三時に変更された"],
    "korean": ["나는 비 오는 날에 뜨거운 차를 마신다", "회의는 오후 세 시로 바뀌었다"],
    "russian": ["я люблю пить горячий чай в дождь", "встреча перенесена на три часа дня"],
    "thai": ["ฉันชอบดื่มชาร้อนในวันฝนตก", "การประชุมเลื่อนไปเป็นบ่ายสามโมง"],
    "arabic": ["أحب شرب الشاي الساخن في يوم ممطر", "تم نقل الاجتماع إلى الساعة الثالثة"],
    "french": ["été à la plage près de l'océan", "la réunion a été déplacée à trois heures"],
    "hindi": ["मुझे बारिश में गरम चाय पीना पसंद है", "बैठक दोपहर तीन बजे होगी"],
}


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("我喝茶。Python 3很好", ["我", "喝", "茶", "python", "3", "很", "好"]),
        ("東京へ行く、ラーメン", ["東", "京", "へ", "行", "く", "ラ", "ー", "メ", "ン"]),
        ("나는 밥을 먹는다.", ["나는", "밥을", "먹는다"]),
        ("Привет, МИР!", ["привет", "мир"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("مرحبا، بالعالم؟", ["مرحبا", "بالعالم"]),
        ("L’été à Noël", ["l", "été", "à", "noël"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("ok 👍🏽👩‍👧 🇩🇪🇫🇷 ❤️", ["ok", "👍🏽", "👩‍👧", "🇩🇪", "🇫🇷", "❤️"]),
        ("it's 1,000 x_y", ["it", "s", "1", "000", "x", "y"]),
        ("… — !?", []),
    ],
)
def test_words_by_unicode(text, tokens):
    assert tokenizing.words(text) == tokens
    assert tokenizing.words(unicodedata.normalize("NFD", text)) == tokens


@pytest.mark.parametrize("name", ["rouge", "token_f1", "bleu", "chrf", "exact_match"])
@pytest.mark.parametrize("language", SAME)
def test_equal_texts_are_best_and_composition_does_not_matter(name, language):
    texts = SAME[language]
    high = {item.name: item.high for item in METRICS.get(name).figures}
    for predictions in (texts, [unicodedata.normalize("NFD", text) for text in texts]):
        result = measure(name, predictions, [[text] for text in texts], resamples=20)
        for figure, item in result.figures.items():
            assert item.value == pytest.approx(high[figure]), figure
        assert "warnings" not in result.detail


@pytest.mark.parametrize(
    ("predictions", "references", "unigrams", "pairs", "longest"),
    [
        # 8 of 10 characters, all 8 of the reference; pairs 喜欢, 我喜, 欢在, 雨天 and 天喝 of 9 and 7.
        ("我喜欢在下雨天喝热茶", "我喜欢在雨天喝茶", 16 / 18, 10 / 16, 16 / 18),
        ("雨が降る", "雪が降る", 3 / 4, 2 / 3, 3 / 4),
        ("я люблю чай", "я люблю кофе", 2 / 3, 1 / 2, 2 / 3),
        ("나는 차를 마신다", "나는 물을 마신다", 2 / 3, 0.0, 2 / 3),
        ("ชาร้อน", "ชาเย็น", 3 / 5, 1 / 4, 3 / 5),
        ("الشاي ساخن", "الشاي بارد", 1 / 2, 0.0, 1 / 2),
        ("été", "à", 0.0, 0.0, 0.0),
        ("👍 👎", "👍 👍", 1 / 2, 0.0, 1 / 2),
    ],
)
def test_rouge_by_hand(predictions, references, unigrams, pairs, longest):
    result = measure("rouge", [predictions], [[references]], resamples=20)
    values = [result.figures[name].value for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")]
    assert values == pytest.approx([unigrams, pairs, longest, longest])
    assert result.signature == "refs:1|stem:no|tok:words by Unicode|nfc"


def test_english_is_read_as_rouge_score_does_and_says_so():
    references = ["the meeting with José was moved to three", "she is happy with the naïve plan and the café"] * 3
    result = measure("rouge", references, [[text] for text in references], resamples=20)
    assert result.signature == "refs:1|stem:yes|as rouge_score 0.1.2"
    assert "warnings" not in result.detail


def test_rows_that_rouge_score_cannot_read_are_told():
    texts = ["the cat sat", "我喜欢喝茶", "a dog barked", "встреча"]
    only = settings_of("rouge", {"tokenizer": "rouge_score"})
    result = measure("rouge", texts, [[text] for text in texts], only, resamples=20)
    assert result.figures["rouge1"].value == 0.5
    assert result.detail["warnings"] == [
        "rouge_score's tokenizer (a-z and 0-9) drops most words of 2 of 4 rows (the first: 2), so that the figure says "
        "nothing about them; choose the tokenizer words."
    ]


def test_token_f1_counts_characters_where_there_are_no_spaces():
    result = measure("token_f1", ["我喜欢喝热茶。"], [["我喜欢喝茶"]], resamples=20)
    assert result.figures["token_f1"].value == pytest.approx(10 / 11)
    squad = measure("token_f1", ["我喜欢喝热茶"], [["我喜欢喝茶"]], settings_of("token_f1", {"tokenizer": "squad"}))
    assert squad.figures["token_f1"].value == 0
    assert "scripts without spaces" in squad.detail["warnings"][0]
    assert squad.signature == "squad normalisation|best reference"


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["我喜欢在下雨天喝热茶"], "zh"),
        (["雨の日に熱いお茶を飲む"], "char"),
        (["ฉันชอบดื่มชาร้อน"], "char"),
        (["나는 뜨거운 차를 마신다"], "13a"),
        (["я люблю пить горячий чай"], "13a"),
        (["the word 茶 is of Chinese origin, and so is the word tea"], "13a"),
    ],
)
def test_bleu_takes_the_tokenizer_that_suits_the_references(texts, name):
    result = measure("bleu", texts, [[text] for text in texts], resamples=20)
    assert f"tok:{name}" in result.signature
    assert result.figures["bleu"].value == pytest.approx(100)


def test_bleu_by_words_of_a_script_without_spaces_is_told():
    result = measure("bleu", ["我喜欢茶"], [["我喜欢茶"]], settings_of("bleu", {"tokenize": "13a"}), resamples=20)
    assert result.figures["bleu"].value == 0
    assert "choose auto, zh or char" in result.detail["warnings"][0]


def test_lengths_and_diversity_of_scripts_without_spaces():
    assert measure("length_ratio", ["茶" * 30], [["茶" * 10]]).figures["ratio"].value == 3
    assert measure("length_ratio", ["나는 차를"], [["나는 차를 마신다 오늘"]]).figures["ratio"].value == 0.5
    assert measure("diversity", ["茶水茶水茶"], [[]]).figures["distinct"].value == pytest.approx(2 / 4)
    spaces = measure("diversity", ["茶水 茶水"], [[]], settings_of("diversity", {"tokenizer": "spaces"}))
    assert spaces.detail["warnings"]


@pytest.mark.parametrize(
    ("predictions", "references"),
    [("正面。", "正面"), ("«oui»", "oui"), ("“Yes”…", "yes"), ("¿Sí?", "sí"), ("是！", "是"), ("$5", "5")],
)
def test_punctuation_of_any_script_is_left_out_when_asked(predictions, references):
    settings = settings_of("exact_match", {"ignore_punctuation": True})
    assert measure("exact_match", [predictions], [[references]], settings).figures["exact_match"].value == 1
    assert measure("exact_match", [predictions], [[references]]).figures["exact_match"].value == 0


def test_labels_match_however_their_letters_are_composed():
    predictions = [unicodedata.normalize("NFD", "café"), "STRASSE"]
    result = measure("classification", predictions, [["café"], ["straße"]])
    assert result.figures["accuracy"].value == 1
    assert measure("exact_match", predictions, [["café"], ["straße"]]).figures["exact_match"].value == 1


def test_settings_that_were_stored_before_there_was_a_tokenizer_still_load():
    assert settings_of("diversity", {"n": 3}).tokenizer == "auto"
    assert settings_of("bleu", {"tokenize": "13a", "lowercase": False}).tokenize == "13a"
