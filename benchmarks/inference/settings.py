"""What is labelled: a scan for two cores, and a fly as people scan it for a GPU."""

from dataclasses import dataclass

from napari_meunet.config import Shape

COMMON = (
    "whole",
    "whole-half",
    "whole-folded",
    "stage1",
    "stage1-fp32",
    "paper",
    "monai-50",
    "monai-25",
    "monai-50-half",
    "monai-25-half",
    "monai-on-host",
    "nnunet",
    "torch-em",
    "whole-cascade",
    "whole-folded-cascade",
    "cascade",
    "cascade-fp32",
    "monai-50-cascade",
    "monai-25-half-cascade",
)
"""Who takes part, in the order of the rows. Those who apply the network to the whole
scan at once come before those whose labels are compared with theirs."""


@dataclass(frozen=True)
class Setting:
    """What is labelled, and how often.

    Attributes
    ----------
    name
        Of the folder with the results.
    shape
        Voxels of the scan, a phantom, along (z, y, x).
    contenders
        Who takes part.
    threads
        Of a run; runs are never side by side.
    rounds
        Times that each is measured; the fastest counts.
    """

    name: str
    shape: Shape
    contenders: tuple[str, ...]
    threads: int
    rounds: int


SMALL = Setting("small", (400, 320, 320), COMMON, threads=2, rounds=2)
FULL = Setting(
    "full", (1072, 470, 470), (*COMMON, "nnunet-mirrored"), threads=8, rounds=2
)
SETTINGS = {setting.name: setting for setting in (SMALL, FULL)}
