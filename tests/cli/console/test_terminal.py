import io

from tqdm import tqdm

from napari_meunet.cli.console import terminal
from napari_meunet.progress import Progress


def test_a_part_of_the_work_has_a_pace_of_its_own(monkeypatch):
    """Else steps that were done before a validation would look done in no time."""
    seen = []

    class Bar(tqdm):
        def __init__(self, **options):
            super().__init__(file=io.StringIO(), **options)

        def update(self, n=1):
            super().update(n)
            seen.append((self.n, self.total, self.unit, self.n - self.initial))

    monkeypatch.setattr(terminal, "tqdm", Bar)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    steps = [
        *(Progress(i, 900, "steps") for i in (249, 250)),
        *(Progress(i, 40, "windows") for i in (1, 2)),
        *(Progress(i, 900, "steps") for i in (251, 252)),
    ]

    assert terminal.show((step for step in steps), "train") == steps[-1]

    assert seen == [
        (249, 900, " steps", 0),
        (250, 900, " steps", 1),
        (1, 40, " windows", 0),
        (2, 40, " windows", 1),
        (251, 900, " steps", 0),
        (252, 900, " steps", 1),
    ]
