"""The HTML of the page: every text in it is escaped, and values have names."""

import re

import pytest

from textvae.explorer import curves, rendering
from textvae.explorer.actions.training_actions import RunProgress
from textvae.explorer.inside import AnomalyGauge
from textvae.explorer.side_by_side import RunAnswer

EVIL = "<img src=x onerror=alert(1)>\"'&"
ANSWER: RunAnswer = {"reconstruction": EVIL, "log_likelihood": -3.0, "kl": 1.0}
PROGRESS: RunProgress = {
    "state": EVIL,
    "step": 3,
    "seconds": 60.0,
    "fraction": 0.5,
    "curves": {"kl": [(1, 2.0), (2, 3.0)], "eval_kl": [(2, 2.5)]},
    "evaluations": [{"step": 2, "samples": [EVIL], "reconstructions": [(EVIL, EVIL)]}],
    "verdict": EVIL,
    "findings": [EVIL],
    "advice": [EVIL],
}

RENDERED = {
    "message": rendering.render_message(EVIL),
    "hint": rendering.render_hint(EVIL),
    "surprisal": rendering.render_surprisal(
        {
            "tokens": [{"text": EVIL, "nats": 2.0}],
            "reconstruction": 2.0,
            "kl": 1.0,
            "log_likelihood": -3.0,
        }
    ),
    "neighbors": rendering.render_neighbors([{"text": EVIL, "similarity": 0.5, "index": 1}]),
    "verdict": rendering.render_verdict(
        {"verdict": EVIL, "findings": [EVIL], "advice": [EVIL], "measures": {"kl": 1.0}}
    ),
    "comparison": rendering.render_comparison(
        (EVIL, EVIL), [{"text": EVIL, "first": ANSWER, "second": ANSWER}]
    ),
    "samples": rendering.render_samples((EVIL, EVIL), [[EVIL], [EVIL]]),
    "progress": curves.render_progress(PROGRESS),
    "evaluation": curves.render_evaluation(PROGRESS["evaluations"]),
}


@pytest.mark.parametrize("part", RENDERED)
def test_markup_in_a_text_is_escaped(part):
    html = RENDERED[part]
    assert "&lt;img" in html
    assert "<img" not in html


@pytest.mark.parametrize("score", [0.5, 2.0, 40.0])
def test_every_score_is_on_the_gauge(score):
    gauge: AnomalyGauge = {
        "score": score,
        "p_value": 0.02,
        "normal": [1.0, 2.0, 3.0],
        "sentences": 500,
    }
    places = re.findall(r"(?:left|width):([\d.]+)%", rendering.render_anomaly(gauge))
    assert all(0 <= float(place) <= 100 for place in places)


def test_dimensions_without_a_kl_show_their_spread():
    html = rendering.render_dimensions([{"dimension": 7, "kl": None, "spread": 0.25}])
    assert "dimension 7: 0.25 standard deviations" in html


def test_the_charts_are_drawn_within_their_frames():
    html = RENDERED["progress"]
    numbers = [float(value) for value in re.findall(r"[\d.]+,([\d.]+)", html)]
    assert numbers
    assert all(0 <= value <= 110 for value in numbers)
    assert "<circle" in html  # the curve with a single evaluation


def test_a_run_without_logs_says_so():
    empty: RunProgress = {
        **PROGRESS,
        "curves": {},
        "evaluations": [],
        "verdict": None,
        "fraction": None,
    }
    assert "Nothing is logged yet" in curves.render_progress(empty)
    assert "nothing of this run yet" in curves.render_evaluation([])


@pytest.mark.parametrize(("at_least", "shown"), [(0, "100 %"), (1, "99 %"), (250, "50 %")])
def test_the_gauge_says_how_many_held_out_sentences_are_less_anomalous(at_least, shown):
    """The p-value counts the sentence itself, too, and the share does not."""
    gauge: AnomalyGauge = {
        "score": 2.0,
        "p_value": (1 + at_least) / 501,
        "normal": [1.0, 1.5, 2.0],
        "sentences": 500,
    }
    assert f"than {shown} of 500 held-out" in rendering.render_anomaly(gauge)
