"""The purposes that each view may be used for: its own or its domain's, never more than those of the views it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from feature_platform.errors import Problem
from feature_platform.registry.codes import PURPOSE
from feature_platform.registry.index import Index
from feature_platform.registry.views import Read


def settle_purposes(
    index: Index, order: Iterable[str], reads: Mapping[str, Sequence[Read]]
) -> tuple[dict[str, tuple[str, ...]], list[Problem]]:
    """Purposes of every view, in the platform's order, and views that claim more than what they are built on allows.

    A view that says nothing takes its domain's purposes, or all of the platform's, as far as its inputs allow them. So
    the limits of a view cannot be shed by building another one on top of it.
    """
    settled: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    known = tuple(index.platform.purposes) if index.platform else ()
    for name in order:
        view = index.views[name]
        domain = index.domains.get(index.domain_of(view) or "")
        wanted = set(view.purposes or (domain.purposes if domain else ()) or known)
        for read in reads[name]:
            if read.ref.kind != "view":
                continue
            beyond = wanted - set(settled[read.ref.name])
            wanted -= beyond
            if beyond and (view.purposes or not wanted):
                allowed = ", ".join(settled[read.ref.name]) or "nothing"
                problems.append(
                    PURPOSE.problem(
                        f"'{name}' is for {', '.join(sorted(beyond))}, "
                        f"but '{read.ref.name}', which it reads, is for {allowed}",
                        mend="Narrow `purposes:` here, or have the other view's owner widen them there.",
                        where=read.where,
                    )
                )
        settled[name] = tuple(purpose for purpose in known if purpose in wanted)
    return settled, problems
