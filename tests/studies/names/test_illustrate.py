"""Names that a report shows."""

from types import SimpleNamespace

import numpy as np

from keras_dnnts.studies.names.illustrate import show_names
from keras_dnnts.studies.names.illustrations import list_mistakes


def test_shown_names_are_distinct_and_say_where_the_guess_holds_too():
    texts = ("Lee", "Lee", "Lee", "Park", "Park", "Ito", "Kim")
    labels = np.array([0, 0, 1, 1, 1, 2, 2], np.int32)
    dataset = SimpleNamespace(texts=texts, labels=labels, line_numbers=np.arange(7) + 11)
    guesses = np.array([1, 1, 1, 0, 0, 2, 0])
    log_probabilities = np.log(np.full((7, 3), 0.1, np.float32))
    log_probabilities[np.arange(7), guesses] = np.log(np.float32([0.9, 0.9, 0.9, 0.8, 0.8, 0.7, 0.6]))

    shown = show_names(dataset, np.array([0, 1, 2, 3, 4, 5]), log_probabilities, "held_out")
    assert shown["mistake_held_out_name"].tolist() == ["Lee", "Park"]
    assert shown["mistake_held_out_truth"].tolist() == [0, 1]
    assert shown["mistake_held_out_guess"].tolist() == [1, 0]
    assert shown["mistake_held_out_line"].tolist() == [11, 14]
    plain = list_mistakes(shown, "held_out", ["Chinese", "Korean", "Japanese"], {"Korean": "Korean.TXT"})
    assert plain[1].pop("confidence") > 0.4
    assert plain[1] == {"name": "Park", "truth": "Korean", "guess": "Chinese", "file": "Korean.TXT", "line": 14}
    assert shown["mistake_held_out_also"].tolist() == [True, False]
    assert sorted(shown["example_held_out_name"].tolist()) == ["Ito", "Lee", "Lee", "Park"]
