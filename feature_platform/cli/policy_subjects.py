"""What ``fp policy explain`` can be asked about: a column of a source, a feature of a view, a classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from feature_platform.cli.codes import UNKNOWN_NAME
from feature_platform.compiler.origins import Origins
from feature_platform.errors import UsageError, did_you_mean
from feature_platform.governance.explanations import Explanation, explain
from feature_platform.governance.labels import CLEAN, Labels, describe
from feature_platform.specs.models import Classification

if TYPE_CHECKING:
    from feature_platform.governance.access import Access
    from feature_platform.project.project import Project


@dataclass(frozen=True)
class Subject:
    """Something that policies decide about."""

    name: str
    """As it is written in a call of a transform."""
    holds: str
    """In words."""
    classes: tuple[str, ...] = ()
    labels: Labels = CLEAN
    of_view: bool = False
    purposes: tuple[str, ...] = ()
    """Of a view: those that it may be used for."""

    def explained(self, access: Access) -> tuple[Explanation, ...]:
        """Every class that is behind it, explained."""
        return tuple(explain(classification, access, self.name) for classification in self.classes)

    def verdict(self, access: Access) -> str:
        """What the asker gets, in a few words."""
        if not self.of_view:
            return access.decide(self.classes[0]).action if self.classes else "clear"
        if not set(access.purposes) & set(self.purposes):
            return f"refused: the view is only for {', '.join(self.purposes) or 'no purpose'}"
        refused = [str(refusal.label) for refusal in access.refuses(self.labels)]
        closed = [name for name in self.classes if not access.decide(name).opens]
        if not refused and not closed:
            return "allowed"
        return f"refused: {', '.join(refused or [f'depends on {name}' for name in closed])}"


def subject_of(project: Project, text: str) -> Subject:
    """What ``text`` names.

    Raises:
        UsageError: nothing of the project.
    """
    if text in get_args(Classification):
        return Subject("column", f"columns of class {text}", () if text == "none" else (text,))
    view, colon, feature = text.partition(":")
    if colon:
        return _feature(project, view, feature)
    source, _, column = text.partition(".")
    sources = project.registry.sources
    if source not in sources:
        known = [*sources, *project.compiled.views, *get_args(Classification)]
        raise _unknown(f"there is no source or class '{source}'.{did_you_mean(source, known)}")
    columns = sources[source].spec.columns
    if column not in columns:
        raise _unknown(f"source '{source}' has no column '{column}'.{did_you_mean(column, columns)}")
    held = columns[column].pii
    if held is None:
        return Subject(column, f"a column of source '{source}' that nobody classified")
    if held == "none":
        return Subject(column, f"a column of source '{source}' that holds nothing personal")
    return Subject(column, f"a column of source '{source}' that holds {held}", (held,))


def _feature(project: Project, view: str, feature: str) -> Subject:
    views = project.compiled.views
    if view not in views:
        raise _unknown(f"there is no view '{view}'.{did_you_mean(view, views)}")
    known = views[view].feature(feature)
    if known is None:
        names = [each.name for each in views[view].features]
        raise _unknown(f"view '{view}' has no feature '{feature}'.{did_you_mean(feature, names)}")
    behind = list(Origins(project.registry, views).of(known.column))
    labels = known.column.labels
    from_ = ", ".join(sorted({f"{ref} ({classification})" for ref, classification in behind})) or "nothing personal"
    return Subject(
        feature,
        f"a feature that carries {describe(labels)}, and depends on {from_}",
        tuple(sorted({classification for _, classification in behind} | {label.classification for label in labels})),
        labels,
        True,
        project.registry.views[view].purposes,
    )


def _unknown(what: str) -> UsageError:
    return UsageError(
        UNKNOWN_NAME.problem(what, mend="write SOURCE.COLUMN, VIEW:FEATURE or a classification such as `email`")
    )
