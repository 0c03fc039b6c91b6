from eval.sentences import sentence_spans


def sentences(text):
    return [text[start:end] for start, end in sentence_spans(text)]


def test_sentences_end_with_marks_closing_brackets_and_lines():
    text = "　彼は「行く。」と言つた。それから？　𠮷野家へ！\n元始に神天地を創造たまへり\n\n終"
    assert sentences(text) == [
        "彼は「行く。」",
        "と言つた。",
        "それから？",
        "𠮷野家へ！",
        "元始に神天地を創造たまへり",
        "終",
    ]


def test_white_space_and_marks_alone_are_no_sentences():
    assert sentences(" 　\n。。\n") == []
    assert sentences("") == []
