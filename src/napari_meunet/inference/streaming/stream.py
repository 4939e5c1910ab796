"""A cascade as a filter over planes: planes in, labels out, memory O(section).

`CascadeStream` gives, plane by plane, the labels that the network would give for the
whole volume at once. Every stage writes its planes into a ring, from which other
stages read them as long as they need them; the schedule says how long that is. No stage
makes a voxel twice, or works where the volume has not begun or has ended for it.
Several cascades may see the same planes; the mean of their logits then gives the
labels.

Shapes are the same in every push, and planes and rows outside
the volume are zero wherever a convolution reads them: that is the zero padding of
every convolution of the network on the whole volume.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from napari_meunet.errors import MeUNetError
from napari_meunet.inference.streaming.domain import Domain
from napari_meunet.inference.streaming.folded import FoldedCascade
from napari_meunet.inference.streaming.labelling import (
    Labelled,
    Labelling,
    Likeliest,
)
from napari_meunet.inference.streaming.ring import Ring
from napari_meunet.inference.streaming.schedule import IMAGE, Schedule, Stage
from napari_meunet.inference.streaming.sources import clear_outside
from napari_meunet.inference.streaming.stages import StageStream


class NetworkStream:
    """The stages of one cascade over a stream of planes.

    Parameters
    ----------
    schedule
        Of the cascade, or of its stage 1 alone.
    weights
        Of the cascade.
    domain
        What the stream passes through.
    image
        Its planes, which several cascades may share.

    Attributes
    ----------
    rings
        What stages read, by name; the image is one of them.
    """

    def __init__(
        self, schedule: Schedule, weights: FoldedCascade, domain: Domain, image: Ring
    ) -> None:
        self._domain, self._schedule, self._heads = domain, schedule, weights.heads
        _, *kept = schedule.kept()
        rings = {each[0]: _ring(schedule, weights, domain, *each) for each in kept}
        self.rings = {IMAGE: image} | rings
        self._streams = [
            StageStream(stage, weights, self.rings, domain) for stage in schedule.stages
        ]

    def bands(self, first: int) -> list[slice]:
        """Return the rows whose logits are made at once, see `StageStream.bands`."""
        return self._streams[-1].bands(first)

    def advance(self, plane: int) -> None:
        """Make all that the logits need of the planes from `plane` on."""
        stages = zip(self._schedule.stages, self._streams, strict=True)
        for stage, stream in list(stages)[:-1]:
            first = plane // stage.scale - stage.delay
            ring, bands = self.rings[stage.name], stream.bands(first)
            for rows in bands:  # no name holds what one band has made in the next
                ring.write(first, rows, self._made(stage, stream, first, rows))
            if not bands:
                ring.clear(first, stream.slab)

    def logits(self, first: int, rows: slice) -> Tensor:
        """Return the logits ``(n_classes, k, rows, x)`` of planes from `first` on."""
        features = self._streams[-1].features(first, rows)
        return self._logits(self._schedule.stages[-1], features)

    def _made(
        self, stage: Stage, stream: StageStream, first: int, rows: slice
    ) -> Tensor:
        """Return what other stages read of a band of planes from `first` on."""
        features = stream.features(first, rows)
        if not stage.head:
            return features
        probabilities = self._logits(stage, features).softmax(0)[None]
        clear_outside(probabilities, 2, first, self._domain.depth)
        return probabilities

    def _logits(self, stage: Stage, features: Tensor) -> Tensor:  # classes k y x
        head = self._heads[stage.head]
        voxels = features[0].movedim(0, -1)
        logits = torch.addmm(head.bias, head.weight, voxels.flatten(0, -2).T)
        # what follows is faster in fp32 than in half precision on processors
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return logits.view(-1, *voxels.shape[:-1])


class CascadeStream:
    """A cascade, or the mean of several, over a stream of planes.

    Parameters
    ----------
    schedule
        Of the cascades, or of their stage 1 alone.
    weights
        Of the cascades, the mean of whose logits gives the labels.
    domain
        What the stream passes through.
    labelling
        What makes labels from logits; None gives every voxel its likeliest class.

    Attributes
    ----------
    networks
        A stream for each of the cascades.
    """

    def __init__(
        self,
        schedule: Schedule,
        weights: Sequence[FoldedCascade],
        domain: Domain,
        labelling: Labelling | None = None,
    ) -> None:
        self._domain, self._schedule = domain, schedule
        self._dtype = weights[0].dtype
        shape = domain.slab, *domain.section
        self._labelling = labelling or Likeliest(shape, weights[0].device)
        self._plane = domain.start
        image, *_ = schedule.kept()
        self._image = _ring(schedule, weights[0], domain, *image)
        self.networks = [
            NetworkStream(schedule, each, domain, self._image) for each in weights
        ]

    @property
    def plane(self) -> int:
        """First plane of the labels that the next push returns.

        It is a multiple of `BLOCK`, and may be negative.
        """
        return self._plane - self.delay

    @property
    def delay(self) -> int:
        """Planes by which the labels trail the planes pushed."""
        return self._schedule.delay + self._labelling.delay

    def push(self, image: Tensor) -> Labelled:
        """Take `k` planes and return the labels of `k` planes further back.

        Parameters
        ----------
        image
            ``(1, 1, k, y, x)``; zero where the volume is padded or has ended.

        Returns
        -------
        Labelled
            Its first plane is the `plane` before the push.

        Raises
        ------
        MeUNetError
            If the network gives values that are not finite.
        """
        self._image.write(self._plane, slice(None), image)
        for network in self.networks:
            network.advance(self._plane)
        first = self._plane - self._schedule.delay
        labelled = self._labelling.labelled(first, self._logit_bands(first))
        self._plane += self._domain.slab
        if not labelled.confidence.sum().isfinite():  # as logits are not, then
            raise MeUNetError(
                f"the network must give finite values, but does not in {self._dtype}; "
                "choose precision fp32, or another checkpoint if it is fp32 already"
            )
        return labelled

    def _logit_bands(self, first: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield rows, and logits ``(n_classes, k, rows, x)`` of `k` planes of them."""
        for rows in self.networks[0].bands(first):
            yield rows, self._mean_logits(first, rows)

    def _mean_logits(self, first: int, rows: slice) -> Tensor:
        one, *others = self.networks
        logits = one.logits(first, rows)
        if not others:
            return logits
        for other in others:
            logits += other.logits(first, rows)
        return logits.div_(len(self.networks))


def _ring(
    schedule: Schedule,
    weights: FoldedCascade,
    domain: Domain,
    name: str,
    scale: int,
    channels: int,
) -> Ring:
    """Return room, all zero, for the planes of what a schedule keeps."""
    planes = schedule.ring_planes(name, domain.slab)
    y, x = (n // scale for n in domain.section)
    dtype = weights.image_dtype if name == IMAGE else weights.dtype
    return Ring(weights.empty((1, channels, planes, y, x), dtype).zero_())
