"""Sets of bytes as spans."""

from collections.abc import Iterable

from cluster.gateway.records import Span


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Returns the union of spans: ascending, with gaps between them."""
    union: list[Span] = []
    for span in sorted(spans, key=lambda item: (item.start, item.end)):
        if union and span.start <= union[-1].end:
            union[-1] = Span(union[-1].start, max(union[-1].end, span.end))
        else:
            union.append(span)
    return tuple(union)


def missing(spans: Iterable[Span], size: int) -> tuple[Span, ...]:
    """Returns what of 0 to `size` the spans leave out."""
    gaps: list[Span] = []
    at = 0
    for span in merged(spans):
        if span.start > at:
            gaps.append(Span(at, min(span.start, size)))
        at = max(at, span.end)
    if at < size:
        gaps.append(Span(at, size))
    return tuple(gap for gap in gaps if gap.start < gap.end)
