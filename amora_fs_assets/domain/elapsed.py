"""The time that has passed since a stored time, as features at request time."""

from __future__ import annotations

import inspect
from typing import Any

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.schema import FeatureSchema, Field
from amora_fs_assets.domain.types import DataType

_FIX = "Select features that are times, such as those of since_last(): elapsed(view['last_order'])."


def elapsed(times: FeatureView | FeatureViewProjection, *, name: str | None = None) -> OnDemandFeatureView:
    """An on-demand feature view with the seconds since each of the selected times.

    `elapsed(customer_spend["last_order"])` is the view `customer_spend_elapsed` with the feature `since_last_order`: a
    float, to the microsecond, in a training set up to the event_timestamp of the entity row, online up to the clock.
    It is null where the time is null, absent or too old.

    Args:
        times: The features: one or several timestamps of one view, also under an alias.
        name: The name of the on-demand view; by default the name of the view or alias and `_elapsed`.

    Raises:
        DefinitionError: a feature is not a timestamp, or the name is wrong.

    """
    if not isinstance(times, FeatureView | FeatureViewProjection):
        raise arguments.wrong("elapsed", "times", times, _FIX)
    selected = times.whole if isinstance(times, FeatureView) else times
    for column in selected.columns:
        if column.type is not DataType.TIMESTAMP:
            raise DefinitionError(f"elapsed: feature '{selected.name}:{column.name}' is {column.type}. {_FIX}")
    columns = {f"since_{feature}": feature for feature in selected.features}
    made: dict[str, Any] = {
        new: Field(nullable=True, description=f"Time since {feature} of {selected.name} [s].")
        for new, feature in columns.items()
    }
    doc = f"Time since {', '.join(selected.features)} of {selected.name}."
    schema = type("Elapsed", (FeatureSchema,), {**made, "__annotations__": dict.fromkeys(made, float), "__doc__": doc})

    def expressions(**stored: Any) -> dict[str, Any]:
        from amora_fs_assets.domain.request_time.from_ibis import request_time

        now = request_time()
        return {new: now.delta(stored[feature], unit="microsecond") / 1_000_000 for new, feature in columns.items()}

    parameters = [inspect.Parameter(feature, inspect.Parameter.KEYWORD_ONLY) for feature in selected.features]
    vars(expressions)["__signature__"] = inspect.Signature(parameters)
    return OnDemandFeatureView(
        f"{selected.name}_elapsed" if name is None else name,
        schema,
        [selected],
        expressions,
        owner=selected.view.owner,
    )
