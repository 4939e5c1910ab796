"""How much is spent on a run: the small setting for two cores, the full one for a GPU.

A setting fixes what all networks share. Two more may be compared only if both were run
with the same one.
"""

from dataclasses import dataclass, replace

from napari_meunet.config import Shape

JOINT_SHARE = 3 / 4
"""Of the steps of a cascade, after those of stage 1 alone: 500 and 1500 are the
defaults of `TrainingConfig`."""


@dataclass(frozen=True)
class Setting:
    """What every network gets.

    Attributes
    ----------
    name
        Of the folder with the results.
    networks
        Names of what is compared, see `benchmarks.accuracy.networks`.
    seeds
        Of weights, patches and augmentation. The splits stay the same.
    patch_size
        Edge of the cubic patches in voxels.
    n_patches
        Patches that a run learns from, for a cascade those of both stages together.
    patches_a_step
        By data set: patches that an optimiser step learns from at once.
    phantom_shape, n_phantoms
        Voxels along (z, y, x), and phantoms to train on.
    n_tested
        Phantoms to test on.
    shrink
        Factor by which the mouse heads are made coarser.
    threads, jobs
        Threads of a run, and runs side by side. One thread each needs no step to
        be parallel.
    """

    name: str
    networks: tuple[str, ...]
    seeds: tuple[int, ...]
    patch_size: int
    n_patches: int
    patches_a_step: dict[str, int]
    phantom_shape: Shape
    n_phantoms: int
    n_tested: int
    shrink: int
    threads: int
    jobs: int

    def steps(self, data_set: str) -> int:
        """Return the optimiser steps of a run.

        Raises
        ------
        ValueError
            If a step would get fewer patches than the others.
        """
        n_steps, rest = divmod(self.n_patches, self.patches_a_step[data_set])
        if rest:
            raise ValueError(
                f"patches must fill all steps, got {self.n_patches} with "
                f"{self.patches_a_step[data_set]} a step; take a multiple of it"
            )
        return n_steps

    @property
    def scans(self) -> str:
        """Name what the scans depend on in a setting, for the folder they are in."""
        shape = "x".join(map(str, self.phantom_shape))
        return f"{self.n_phantoms}+{self.n_tested}_of_{shape}_shrink_{self.shrink}"


OURS = ("stage1", "pre", "post", "expanded", "paper")
SMALL_PEERS = ("dynunet", "basicunet", "segresnet")
PEERS = (*SMALL_PEERS, "vnet", "swinunetr")
"""VNet took twice as long as DynUNet. SwinUNETR needs patches of 64 voxels: its deepest
features of 32 would be one voxel, which it cannot normalise; with 64, a step of it took
as long as three of DynUNet."""

RECIPES = (
    "undeformed",
    "affine",
    "raw",
    "windows",
    "foreground",
    "weighted",
    "frozen",
    "constant",
    "faster",
    "last",
    "running",
)
"""The default recipe with one thing changed, most of them back to the published one."""

NETWORKS = (*OURS, *PEERS, *RECIPES)
"""In the order of the table."""

SEEDS = (1, 2, 3)
"""Runs with seed 0 chose the patches a step of the small setting, on the same scans;
they are not reported."""

SMALL = Setting(
    name="small",
    networks=("stage1", "pre", "post", "paper", *SMALL_PEERS),
    seeds=SEEDS,
    patch_size=32,
    n_patches=1600,
    patches_a_step={"phantoms": 4, "mouse_heads": 1, "weave": 1},
    phantom_shape=(128, 56, 56),
    n_phantoms=8,
    n_tested=6,
    shrink=4,
    threads=1,
    jobs=2,
)

FULL = Setting(
    name="full",
    networks=(*OURS, *PEERS),
    seeds=SEEDS,
    patch_size=128,
    n_patches=4000,
    patches_a_step={"phantoms": 2, "mouse_heads": 2, "weave": 2},
    phantom_shape=(256, 112, 112),
    n_phantoms=24,
    n_tested=8,
    shrink=1,
    threads=8,
    jobs=1,
)

RECIPE = replace(SMALL, name="recipe", networks=("post", "expanded", *RECIPES))
"""The small setting again, to see what each part of the default recipe does."""

SETTINGS = {setting.name: setting for setting in (SMALL, FULL, RECIPE)}
