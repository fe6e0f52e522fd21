"""The HTML of the panel Training: curves as SVG, and what the model wrote at an evaluation."""

from collections.abc import Sequence
from html import escape

from textvae.explorer.actions.training_actions import RunProgress, SampledTexts
from textvae.explorer.rendering import render_hint

_Curve = Sequence[tuple[int, float]]

# The charts: a title, the curve of training batches, that of evaluations, and the unit.
_CHARTS = (
    ("Loss", "loss", "", "nats"),
    ("KL", "kl", "eval_kl", "nats"),
    ("Reconstruction", "reconstruction", "eval_reconstruction", "nats"),
    ("ELBO", "", "eval_elbo", "nats"),
    ("Active units", "", "eval_active_units", ""),
    ("Cost of shuffled latents", "", "eval_shuffled_latent_increase", "nats"),
)
_WIDTH, _HEIGHT, _MARGIN = 300, 110, 6


def render_progress(progress: RunProgress) -> str:
    """Return how far a run is, the charts, and what the last evaluation says."""
    charts = "".join(_render_chart(progress, *chart) for chart in _CHARTS)
    if not charts:
        charts = render_hint("Nothing is logged yet; the curves begin with the first steps.")
    return (
        f'{_render_state(progress)}{_render_verdict(progress)}<div class="tv-charts">{charts}</div>'
    )


def render_evaluation(evaluations: Sequence[SampledTexts], step: int | None = None) -> str:
    """Return what the model wrote at an evaluation, by default the last one."""
    chosen = [one for one in evaluations if one["step"] == step] or list(evaluations[:1])
    if not chosen:
        return render_hint(
            "What the model writes at each evaluation is shown here. There is nothing of this run yet."
        )
    evaluation = chosen[0]
    samples = "".join(
        f"<li>{escape(text or '(an empty text)')}</li>" for text in evaluation["samples"]
    )
    pairs = "".join(
        f"<tr><td>{escape(text)}</td><td>{escape(written or '(an empty text)')}</td></tr>"
        for text, written in evaluation["reconstructions"]
    )
    table = ""
    if pairs:
        table = (
            '<h4>Reconstructions</h4><div class="tv-table tv-pairs" tabindex="0" role="region" '
            'aria-label="Reconstructions"><table><thead><tr><th scope=col>sentence</th>'
            f"<th scope=col>reconstruction</th></tr></thead><tbody>{pairs}</tbody></table></div>"
        )
    return f'<h4>Samples after step {evaluation["step"]:,}</h4><ul class="tv-texts tv-plain">{samples}</ul>{table}'


def _render_state(progress: RunProgress) -> str:
    """Return the state of the run, with a bar if it is known how far it is."""
    words = {
        "training": "is being trained",
        "finished": "has finished",
        "interrupted": "was interrupted, or has not begun",
    }
    facts = [f"step {progress['step']:,}"]
    if progress["seconds"] is not None:
        facts.append(f"{progress['seconds'] / 60:,.0f} minutes")
    bar = ""
    if progress["fraction"] is not None:
        share = max(0.0, min(1.0, progress["fraction"]))
        bar = (
            f'<div class="tv-progress" role="progressbar" aria-label="Training" aria-valuemin="0" '
            f'aria-valuemax="100" aria-valuenow="{100 * share:.0f}"><i style="width:{share:.1%}"></i></div>'
        )
        facts.append(f"{share:.0%}")
    state = words.get(progress["state"], escape(progress["state"]))
    return f"<p>The run <strong>{state}</strong>: {', '.join(facts)}.</p>{bar}"


def _render_verdict(progress: RunProgress) -> str:
    """Return what the last evaluation says about the latent."""
    if progress["verdict"] is None:
        return ""
    findings = "".join(f"<li>{escape(line)}</li>" for line in progress["findings"])
    advice = "".join(f"<li>What to change: {escape(line)}</li>" for line in progress["advice"])
    return (
        f"<p>At the last evaluation, <strong>{escape(progress['verdict'])}</strong>.</p>"
        f"<ul>{findings}{advice}</ul>"
    )


def _render_chart(
    progress: RunProgress, title: str, training: str, evaluation: str, unit: str
) -> str:
    """Return a chart of one measure; empty if nothing is known of it."""
    lines: list[tuple[str, _Curve]] = []
    for kind, name in (("batch", training), ("eval", evaluation)):
        curve = progress["curves"].get(name)
        if curve:
            lines.append((kind, curve))
    if not lines:
        return ""
    steps = [step for _, curve in lines for step, _ in curve]
    values = [value for _, curve in lines for _, value in curve]
    low, high = min(values), max(values)
    drawn = "".join(_draw(kind, curve, max(steps), low, high) for kind, curve in lines)
    last = lines[-1][1][-1][1]
    label = f"{title}: {last:.4g} {unit}".rstrip()
    return (
        f"<figure><figcaption>{title} <strong>{last:.4g}</strong> <small>{unit}</small></figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}" '
        f'preserveAspectRatio="none">{drawn}</svg>'
        f"<small>{low:.4g} to {high:.4g}, step 0 to {max(steps):,}</small></figure>"
    )


def _draw(kind: str, curve: _Curve, last_step: int, low: float, high: float) -> str:
    """Return a curve as a line, or as a dot if it has one point."""
    points = []
    for step, value in curve:
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * step / max(last_step, 1)
        share = (value - low) / (high - low) if high > low else 0.5
        points.append(f"{x:.1f},{_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * share:.1f}")
    if len(points) == 1:
        left, top = points[0].split(",")
        return f'<circle class="tv-{kind}" cx="{left}" cy="{top}" r="3"/>'
    return f'<polyline class="tv-{kind}" points="{" ".join(points)}"/>'
