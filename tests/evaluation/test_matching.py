"""What is marked on the reading page."""

from genai_lab.evaluation.matching import matches


def matched_texts(text, spans):
    return [text[low:high] for low, high in spans]


def test_runs_of_words_and_the_common_subsequence_are_places_in_the_prediction():
    text = "Anna, the old friend, baked a cake"
    result = matches(text, "the old friend of Anna baked some cake")
    assert matched_texts(text, result.ngrams) == ["the old friend"]
    assert matched_texts(text, result.lcs) == ["the", "old", "friend", "baked", "cake"]


def test_case_and_marks_do_not_matter_and_letters_of_any_script_do():
    text = "“Der SÜSSE Brei”, 田中 さん"
    result = matches(text, "der süsse Brei 田中 さん")
    assert matched_texts(text, result.ngrams) == ["Der SÜSSE Brei”, 田中 さん"]


def test_nothing_in_common_and_empty_texts():
    for text, other in (("", ""), ("a b", ""), ("", "a b"), ("a b", "c d")):
        result = matches(text, other)
        assert result.ngrams == result.lcs == ()


def test_a_run_must_be_one_of_the_reference():
    text = "a b c"
    assert matched_texts(text, matches(text, "b c a b").ngrams) == ["a b c"]
    assert matched_texts(text, matches(text, "a b").ngrams) == ["a b"]


def test_long_texts_are_matched_quickly_enough():
    tokens = [f"w{i % 300}" for i in range(5000)]
    assert len(matches(" ".join(tokens), " ".join(tokens[100:])).lcs) == 4900
