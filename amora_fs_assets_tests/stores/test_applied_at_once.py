"""Teams apply at the same moment, each its own packages: every answer is kept, and only a plan in hand is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from amora_fs_assets import Entity, FeatureService, FeatureStore, FeatureView, Settings
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.errors import BreakingChanges, RegistryConflict
from amora_fs_assets.operations.registry import apply as definitions
from amora_fs_assets.operations.registry.plan import Plan
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.gcs import GcsEmulator
from amora_fs_assets_tests.stores.at_once import at_once

Open = Callable[[ModuleType], FeatureStore]


def package(name: str, **changes: object) -> ModuleType:
    """A team's definitions: a view of its own and a service, over an entity that all share."""
    module = ModuleType(name)
    view = FeatureView(f"{name}_view", small.Spending, [Entity("customer")], table=f"shop.{name}", **changes)  # type: ignore[arg-type]
    vars(module).update(view=view, service=FeatureService(f"{name}_service", [view]))
    return module


@pytest.fixture(params=["folder", pytest.param("gcs", marks=[pytest.mark.google, pytest.mark.slow])])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a store on the same registry, for any package, in any process."""
    registry = str(tmp_path / "registry")
    if request.param == "gcs":
        emulator: GcsEmulator = request.getfixturevalue("gcs_emulator")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.host)
        registry = f"gs://{request.getfixturevalue('bucket')}/registry"
    return lambda module: FeatureStore(Settings(home=tmp_path, registry=registry), definitions=module)


def _all_are_kept(opened: Open, processes: int, packages: int) -> None:
    names = [[f"team_{team}_{number}" for number in range(packages)] for team in range(processes)]

    def team(number: int) -> list[str]:
        return [opened(package(name)).apply().hash for name in names[number]]

    told = at_once(team, processes)
    store = opened(ModuleType("nothing"))
    chain = [snapshot.hash for snapshot in store.registry.history()]
    assert sorted(hash_ for hashes in told for hash_ in hashes) == sorted(chain)
    assert len(chain) == processes * packages
    wanted = {f"{name}_view" for team_names in names for name in team_names}
    assert {view.name for view in store.list_feature_views()} == wanted
    assert len(store.list_feature_services()) == processes * packages


def test_processes_that_apply_packages_of_their_own_are_all_acknowledged_and_kept(opened: Open) -> None:
    _all_are_kept(opened, processes=4, packages=2)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twelve_processes_that_apply_four_packages_each_are_all_acknowledged_and_kept(opened: Open) -> None:
    _all_are_kept(opened, processes=12, packages=4)


def test_a_plan_that_was_looked_at_is_refused_if_another_process_applied_since(opened: Open) -> None:
    store = opened(package("ours"))
    planned = store.plan()
    theirs = opened(package("theirs")).apply()
    with pytest.raises(RegistryConflict, match="another apply came first"):
        store.apply(planned=planned)
    assert store.registry.head() == theirs
    store.apply()
    assert {view.name for view in store.list_feature_views()} == {"ours_view", "theirs_view"}


class _Meanwhile(FeatureStore):
    """A store beside which others apply, once for each of `others`, after it has planned and before it applies."""

    others: list[Callable[[], object]]

    def _planned(self, *, prune: bool) -> Plan:
        planned = super()._planned(prune=prune)
        if self.others:
            self.others.pop(0)()
        return planned


def _beside(opened: Open, module: ModuleType, *others: ModuleType) -> _Meanwhile:
    store = opened(module)
    beside = _Meanwhile(store.settings, module)
    beside.others = [lambda other=other: opened(other).apply(allow_breaking=True) for other in others]  # type: ignore[misc]
    return beside


def test_apply_plans_again_as_often_as_others_are_faster_and_shows_each_plan(opened: Open) -> None:
    store = _beside(opened, package("ours"), *(package(f"team_{number}") for number in range(3)))
    shown: list[Plan] = []
    snapshot = store.apply(show=shown.append)
    assert [len(plan.kept) > 0 for plan in shown] == [False, True, True, True]
    assert snapshot == store.registry.head()
    assert len(store.list_feature_views()) == 4


def test_what_breaks_because_of_what_others_applied_meanwhile_is_refused_even_where_breaking_is_allowed(
    opened: Open,
) -> None:
    class Wider(small.Spending):
        count: int

    theirs = ModuleType("theirs")
    vars(theirs).update(view=FeatureView("ours_view", Wider, [Entity("customer")], table="shop.ours"))
    store = _beside(opened, package("ours"), theirs)
    with pytest.raises(BreakingChanges, match="ours_view.*count"):
        store.apply(allow_breaking=True)
    assert len(store.get_feature_view("ours_view").features) == 2
    assert store.apply(allow_breaking=True) == store.registry.head()  # the caller knows of it by now


def test_somebody_who_is_never_fast_enough_is_told_so(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "LONGEST_PAUSE", 0.0)
    store = _beside(opened, package("ours"), package("theirs"))
    with pytest.raises(RegistryConflict, match="another apply came first"):
        definitions.apply_anew(store.plan, store.registry, clock=store.settings.clock, patience=-1)


def test_the_command_applies_beside_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMORA_FS_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(str(tmp_path))
    for team in range(3):
        (tmp_path / f"command_{team}.py").write_text(
            "from amora_fs_assets import Entity, FeatureView\nfrom amora_fs_assets_tests import small\n"
            f"view = FeatureView('view_{team}', small.Spending, [Entity('customer')], table='a.b')\n"
        )

    def run(team: int) -> int:
        return CliRunner().invoke(main, ["--definitions", f"command_{team}", "apply"]).exit_code

    assert at_once(run, 3) == [0, 0, 0]
    store = FeatureStore(Settings(home=tmp_path / "home"))
    assert {view.name for view in store.list_feature_views()} == {"view_0", "view_1", "view_2"}
