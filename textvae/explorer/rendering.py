"""HTML of the parts of the page that the server writes; every text in it is escaped."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from textvae.explorer.actions.inside_actions import Verdict
from textvae.explorer.inside import AnomalyGauge, Dimension, NearSentence, Surprisal
from textvae.explorer.side_by_side import ComparedSentence

_HOT_NATS = 6.0  # a token of this surprisal, or of more, has the full color
_MAX_BARS = 64
_MEASURE_NAMES = {
    "kl": ("KL", "nats"),
    "elbo": ("ELBO", "nats"),
    "iw_nll": ("NLL", "nats"),
    "ppl_word": ("Perplexity", "per word"),
    "active_units": ("Active units", ""),
    "latent_dim": ("Latent size", ""),
    "bleu": ("BLEU of reconstructions", ""),
    "shuffled_latent_increase": ("Cost of shuffled latents", "nats"),
}


def render_message(text: str) -> str:
    """Return a message to the user, which screen readers read out."""
    return f'<p class="tv-message" role="alert">{escape(text)}</p>'


def render_titled(title: str, html: str) -> str:
    """Return a part of a panel below its title."""
    return f'<h3 class="tv-title">{escape(title)}</h3>{html}'


def render_hint(text: str) -> str:
    """Return what a panel says as long as it has nothing to show."""
    return f'<p class="tv-empty">{escape(text)}</p>'


def render_surprisal(surprisal: Surprisal) -> str:
    """Return a heat strip: each token with its nats, the more surprising the warmer."""
    parts = []
    for token in surprisal["tokens"]:
        heat = min(1.0, max(0.0, token["nats"]) / _HOT_NATS)
        word = escape(token["text"] or "·")
        parts.append(
            f'<span class="tv-token" style="--heat:{heat:.2f}">{word}'
            f"<small>{token['nats']:.1f}</small></span>"
        )
    facts = [f"Tokens given z: {surprisal['reconstruction']:.1f} nats"]
    if surprisal["kl"] is not None:
        facts.append(f"KL: {surprisal['kl']:.1f} nats")
    if surprisal["log_likelihood"] is not None:
        facts.append(f"log-likelihood: {surprisal['log_likelihood']:.1f} nats")
    return (
        f'<div class="tv-heat" role="group" aria-label="Surprisal per token in nats">'
        f'{"".join(parts)}</div><p class="tv-note">{" · ".join(facts)}</p>'
    )


def render_anomaly(gauge: AnomalyGauge) -> str:
    """Return a gauge: where the score is among those of held-out sentences."""
    low, middle, high = gauge["normal"]
    end = max(high * 1.6, gauge["score"] * 1.05)
    # p is (1 + those that are at least as anomalous) / (1 + all).
    n = gauge["sentences"]
    below = n + 1 - round(gauge["p_value"] * (n + 1))
    share = math.floor(100 * below / n)
    verdict = "is as usual as most"
    if gauge["p_value"] < 0.05:
        verdict = "is unusual"
    if gauge["p_value"] < 0.01:
        verdict = "is very unusual"
    return (
        f'<div class="tv-gauge" role="img" aria-label="Anomaly gauge: {gauge["score"]:.2f} nats '
        f'per token, where 90 % of held-out sentences have {low:.2f} to {high:.2f}">'
        f'<i class="tv-normal" style="left:{100 * low / end:.1f}%;width:{100 * (high - low) / end:.1f}%"></i>'
        f'<i class="tv-middle" style="left:{100 * middle / end:.1f}%"></i>'
        f'<b style="left:{100 * gauge["score"] / end:.1f}%"></b></div>'
        f"<p>This sentence <strong>{verdict}</strong>: {gauge['score']:.2f} nats per token, more "
        f"than {share} % of {gauge['sentences']} held-out sentences "
        f"(p = {gauge['p_value']:.3f}). The band is where 90 % of them are.</p>"
    )


def render_neighbors(sentences: Sequence[NearSentence]) -> str:
    """Return the nearest sentences with their similarity."""
    rows = [
        f"<li><span>{escape(row['text'])}</span><small>{row['similarity']:.2f}</small></li>"
        for row in sentences
    ]
    return f'<ol class="tv-texts">{"".join(rows)}</ol>'


def render_dimensions(dimensions: Sequence[Dimension]) -> str:
    """Return a bar per dimension: its KL, or its spread where the KL is not a sum."""
    has_kl = all(row["kl"] is not None for row in dimensions)
    values = [row["kl"] if has_kl else row["spread"] for row in dimensions]
    numbers = [value or 0.0 for value in values]
    most = max([*numbers, 1e-9])
    unit = "nats" if has_kl else "standard deviations"
    bars = []
    for row, value in list(zip(dimensions, numbers, strict=True))[:_MAX_BARS]:
        label = f"dimension {row['dimension']}: {value:.2f} {unit}"
        bars.append(
            f'<li title="{label}" aria-label="{label}"><i style="height:{100 * value / most:.1f}%"></i>'
            f"<small>{row['dimension']}</small></li>"
        )
    rest = "" if len(dimensions) <= _MAX_BARS else f"; the {_MAX_BARS} highest are shown"
    what = f"KL per dimension, {sum(numbers):.1f} nats in all" if has_kl else "Spread per dimension"
    return f'<p class="tv-note">{what}{rest}</p><ol class="tv-bars">{"".join(bars)}</ol>'


def render_verdict(verdict: Verdict) -> str:
    """Return the doctor's verdict with its reasons, its advice and the main measures."""
    reasons = _list_items(verdict["findings"]) or "<p>Nothing is wrong with the latent.</p>"
    advice = ""
    if verdict["advice"]:
        advice = f"<h4>What to change</h4>{_list_items(verdict['advice'])}"
    name = escape(verdict["verdict"])
    kind = "good" if name == "healthy" else "bad"
    return (
        f'<p>The doctor says: <strong class="tv-verdict tv-{kind}">{name}</strong></p>{reasons}'
        f"{advice}{render_measures(verdict['measures'])}"
    )


def render_measures(measures: Mapping[str, float]) -> str:
    """Return measures as a row of numbers with their names."""
    cells = []
    for key, (name, unit) in _MEASURE_NAMES.items():
        if key in measures:
            cells.append(
                f"<div><dt>{name}</dt><dd>{measures[key]:,.4g} <small>{unit}</small></dd></div>"
            )
    return f'<dl class="tv-measures">{"".join(cells)}</dl>'


def render_comparison(names: tuple[str, str], rows: Sequence[ComparedSentence]) -> str:
    """Return a table: each sentence, what both runs make of it, and which is more likely."""
    body = []
    for row in rows:
        cells = []
        likelihoods = [row["first"]["log_likelihood"], row["second"]["log_likelihood"]]
        known = [value for value in likelihoods if value is not None]
        best = max(known) if len(known) == 2 else None
        for answer in (row["first"], row["second"]):
            text = answer["reconstruction"]
            written = "no reconstruction" if text is None else escape(text or "(an empty text)")
            facts = []
            if answer["log_likelihood"] is not None:
                mark = " ▲" if answer["log_likelihood"] == best else ""
                facts.append(f"log-likelihood {answer['log_likelihood']:.1f}{mark}")
            if answer["kl"] is not None:
                facts.append(f"KL {answer['kl']:.1f}")
            cells.append(f"<td>{written}<small>{' · '.join(facts)}</small></td>")
        body.append(f"<tr><th scope=row>{escape(row['text'])}</th>{''.join(cells)}</tr>")
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in ("sentence", *names))
    note = "Reconstructions; log-likelihood and KL in nats per sentence, ▲ the higher likelihood."
    return _wrap_table(head, body, note)


def render_samples(names: tuple[str, str], samples: Sequence[Sequence[str]]) -> str:
    """Return a table of the samples of two runs."""
    body = [
        "<tr>" + "".join(f"<td>{escape(text or '(an empty text)')}</td>" for text in row) + "</tr>"
        for row in zip(*samples, strict=True)
    ]
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in names)
    return _wrap_table(head, body, "Samples from the prior of each run.")


def _wrap_table(head: str, body: Iterable[str], note: str) -> str:
    """Return a table that scrolls by itself on a narrow screen."""
    return (
        f'<div class="tv-table" tabindex="0" role="region" aria-label="{escape(note)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
        f'<p class="tv-note">{escape(note)}</p>'
    )


def _list_items(lines: Sequence[str]) -> str:
    """Return lines as a list; empty without lines."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
