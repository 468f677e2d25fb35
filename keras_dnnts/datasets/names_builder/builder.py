"""Prepares the names files of github.com/spro/practical-pytorch (MIT) with tensorflow-datasets, without TensorFlow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_dnnts.datasets.fetch import import_tfds
from keras_dnnts.datasets.folders import read_lines

tfds: Any = import_tfds()


class KerasDnntsNames(tfds.core.GeneratorBasedBuilder):
    """One example a line, languages sorted and lines in the order of their files."""

    VERSION = tfds.core.Version("1.0.0")

    @classmethod
    def urls(cls) -> dict[str, str]:
        """Where each language's file is, as pinned in ``checksums.tsv``; languages sorted."""
        return {Path(info.filename).stem: url for url, info in sorted(cls.url_infos.items())}

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Surnames from 18 languages, as their files spell them.",
            homepage="https://github.com/spro/practical-pytorch",
            features=tfds.features.FeaturesDict(
                {"name": tfds.features.Text(), "language": tfds.features.ClassLabel(names=list(self.urls()))}
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._generate_examples(dl_manager.download(self.urls()))}

    def _generate_examples(self, files: dict[str, Path]) -> Iterator[tuple[int, dict[str, str]]]:
        lines = ((line, language) for language, file in files.items() for line in read_lines(file))
        for position, (line, language) in enumerate(pair for pair in lines if pair[0].strip()):
            yield position, {"name": line, "language": language}
