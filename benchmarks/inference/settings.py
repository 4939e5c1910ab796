"""What is labelled: a scan for two cores, and a fly as people scan it for a GPU."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_meunet.config import Shape

WHOLE: Mapping[str, str] = {"stage 1": "whole", "cascade": "whole-cascade"}
"""The truth by network: the whole scan at once, in fp32."""

STREAMED: Mapping[str, str] = {"stage 1": "stage1-fp32", "cascade": "cascade-fp32"}
"""The truth where a scan is too large to be labelled at once: ours in fp32, which the
small setting holds against the whole."""

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
    "monai-25-half-folded",
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
"""Who takes part, in the order of the rows. Whose labels are the truth comes before
those who are compared with it."""


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
    truth
        Whose labels those of others are compared with, by the network.
    """

    name: str
    shape: Shape
    contenders: tuple[str, ...]
    threads: int
    rounds: int
    truth: Mapping[str, str] = field(default_factory=lambda: WHOLE)


def without_the_whole(contenders: tuple[str, ...]) -> tuple[str, ...]:
    """Return contenders that need not hold all features of a scan, the truth first."""
    first = tuple(STREAMED.values())
    others = (name for name in contenders if not name.startswith("whole"))
    return first + tuple(name for name in others if name not in first)


SMALL = Setting("small", (400, 320, 320), COMMON, threads=2, rounds=2)
FULL = Setting(
    "full",
    (1072, 470, 470),
    without_the_whole((*COMMON, "nnunet-mirrored")),
    threads=8,
    rounds=2,
    truth=STREAMED,
)
SETTINGS = {setting.name: setting for setting in (SMALL, FULL)}
