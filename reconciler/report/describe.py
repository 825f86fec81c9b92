"""Everything known of one connection, for whoever was woken up by it.

Top to bottom: how it stands, what it is, the last check stage by stage, what to try, how it came
here. Times are absolute, with their age where that is what the reader computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler import kinds, plan
from reconciler.model import JsonObject, Observation, Outcome, Stage, StageName
from reconciler.report import events, health, layout, standing, times, words
from reconciler.report.layout import Cell
from reconciler.report.style import Style, Tone
from reconciler.report.views import DescribeView

_LABEL_CELLS = 10
#: How the stage that ended a check is marked.
_LAST_STAGE = {Outcome.OK: "ok", Outcome.FAILED: "FAIL", Outcome.INCONCLUSIVE: "stop"}


def text(view: DescribeView, style: Style) -> str:
    """Returns the whole screen."""
    manifest = plan.normal_manifest(view.recorded)
    lines = _title(view, style)
    for label, told in _facts(view, manifest):
        lines += _labelled(label, Tone.QUIET, told, style) if told else []
    lines += ["", *_check(view, style), *_advice(view, style)]
    if view.transitions:
        lines += ["", "  Transitions", *events.transitions(view.transitions, style)]
    return "\n".join(lines) + "\n"


def _labelled(label: str, tone: Tone, told: str, style: Style) -> list[str]:
    lead = [Cell("  "), Cell(f"{label:<{_LABEL_CELLS}}", tone), Cell(" ")]
    return layout.hanging(lead, told, style)


def _title(view: DescribeView, style: Style) -> list[str]:
    status = view.recorded.status
    age = times.age(status.since_at, view.now)
    tone = standing.standing_of(status).value.tone
    title = [
        Cell(str(view.recorded.ref), Tone.STRONG),
        Cell(standing.word(status, style), tone),
        Cell(f"since {times.utc(status.since_at)} ({age})"),
    ]
    return layout.flow(title, style)


def _facts(view: DescribeView, manifest: JsonObject) -> Iterator[tuple[str, str]]:
    row, metadata, spec = view.recorded, manifest["metadata"], manifest["spec"]
    status = row.status
    yield "Name", layout.one_line(metadata.get("displayName", ""))
    yield "About", layout.one_line(metadata.get("description", ""))
    yield "Labels", _pairs(metadata.get("labels", {}))
    yield "Tags", layout.one_line(" ".join(metadata.get("tags", ())))
    yield "Endpoint", layout.one_line(words.endpoint(row).shown)
    yield "Auth", layout.one_line(spec.get("auth", {}).get("method", ""))
    for pointer, reference in kinds.shape(row.ref.kind).secrets(spec):
        yield "Secret", f"{words.field_name(f'/spec{pointer}')} from {words.plain(reference)}"
    yield "Grants", _grants(view)
    yield "TLS", words.plain(spec.get("tls", {}))
    yield "Source", _source(view)
    yield "State", f"generation {row.generation}, revision {row.revision}, stack {row.stack}"
    yield "Id", row.uid
    yield "Removal", f"deletionPolicy {row.deletion_policy}"
    yield "Hold", standing.held(row.hold, view.now) if row.hold else ""
    yield "Last used", _last_used(view)
    yield "Why", standing.why(status, None, view.now)
    yield "Failures", _failures(view)
    last_error = layout.one_line(status.last_error)
    yield "Last error", last_error if status.last_error != status.message else ""


def _grants(view: DescribeView) -> str:
    """Returns which grants of the operator file cover the connection, and what they lack."""
    if view.granted is None:
        return ""
    numbers = ", ".join(map(str, view.granted.grants)) or "none"
    return layout.one_line("; ".join((f"{numbers} of the operator file", *view.granted.denied)))


def _pairs(mapping: Mapping[str, str]) -> str:
    return layout.one_line(" ".join(f"{key}={mapping[key]}" for key in sorted(mapping)))


def _source(view: DescribeView) -> str:
    told = [words.source(view.recorded.source)]
    if view.revision is not None:
        commit = words.commit(view.revision.git)
        author = view.revision.git.author if view.revision.git else ""
        told.append(f"commit {commit} of {author}" if commit else "")
        age = times.age(view.revision.at, view.now)
        told.append(f"applied {age} ago by {view.revision.actor}")
    return layout.one_line(", ".join(part for part in told if part))


def _last_used(view: DescribeView) -> str:
    used_at = view.last_used
    return f"{times.utc(used_at)} ({times.age(used_at, view.now)})" if used_at else "never"


def _failures(view: DescribeView) -> str:
    status = view.recorded.status
    if not status.consecutive_failures:
        return ""
    ok = "never ok before"
    if status.succeeded_at is not None:
        ok = f"last ok {times.utc(status.succeeded_at)}"
    return f"{status.consecutive_failures} in a row, {ok}"


def _check(view: DescribeView, style: Style) -> list[str]:
    observation = view.observation
    if observation is None:
        return ["  Last check  never"]
    glyph, word, tone = health.OUTCOMES[observation.outcome]
    when = f"{times.utc(observation.observed_at)} ({times.age(observation.observed_at, view.now)})"
    result = style.paint(f"{style.glyph(glyph)} {word}", tone)
    took = times.duration(observation.latency_s)
    is_old = observation.generation != view.recorded.generation
    older = f", of generation {observation.generation}" if is_old else ""
    lines = [f"  Last check  {when}  {result} in {took}{older}"]
    lines += [f"    {line}" for line in _stages(observation, style)]
    if observation.outcome is not Outcome.OK:
        lines += layout.hanging([Cell("  ")], health.finding(observation), style, tone)
    return lines


def _stages(observation: Observation, style: Style) -> Iterator[str]:
    for number, stage in enumerate(observation.stages, start=1):
        is_last = number == len(observation.stages)
        outcome = observation.outcome if is_last else Outcome.OK
        yield _stage(stage, outcome, style)
    if observation.outcome is Outcome.OK or not observation.stages:
        return
    order = list(StageName)
    for name in order[order.index(observation.stages[-1].name) + 1 :]:
        yield style.paint(f"{name:<6}  -", Tone.QUIET)


def _stage(stage: Stage, outcome: Outcome, style: Style) -> str:
    word = style.paint(f"{_LAST_STAGE[outcome]:<4}", health.OUTCOMES[outcome][2])
    return f"{stage.name:<6}  {word}  {times.duration(stage.seconds):>7}  {stage.detail}".rstrip()


def _advice(view: DescribeView, style: Style) -> Iterator[str]:
    observation = view.observation
    if observation is not None and observation.outcome is not Outcome.OK and observation.hint:
        yield from _labelled("Hint", Tone.NOTE, layout.one_line(observation.hint), style)
    label = style.paint(f"{'Try':<{_LABEL_CELLS}}", Tone.NOTE)
    for suggestion in view.suggestions:
        # A command is there to be copied: it has its line to itself and is never wrapped.
        yield f"  {label} {suggestion.command}"
        if suggestion.note:
            yield from _labelled("", Tone.PLAIN, layout.one_line(suggestion.note), style)
