"""Reads and writes the model files that training builds."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from intent_service.domain.classifier import Classifier
from intent_service.domain.language import LanguageModel
from intent_service.domain.network import Network
from intent_service.domain.ngrams import CharacterGrams, LinearModel, WordGrams
from intent_service.domain.spelling import Speller, build_speller

MODEL_PATH = Path(__file__).parent.parent / "model" / "intent.zip"
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)


class ModelMissing(Exception):
    """The model file was not built; the text says how to build it."""


@dataclass(frozen=True, slots=True)
class Model:
    """What training builds."""

    classifier: Classifier
    speller: Speller
    languages: LanguageModel
    data_digest: str


def write_model(path: Path, tables: dict[str, NDArray[np.generic]], facts: dict[str, object]) -> None:
    """Write a model file; the same content gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(
            zipfile.ZipInfo("facts.json", _FIXED_DATE), json.dumps(facts, ensure_ascii=False), zipfile.ZIP_DEFLATED
        )
        for name, table in sorted(tables.items()):
            buffer = BytesIO()
            np.save(buffer, table, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _FIXED_DATE), buffer.getvalue(), zipfile.ZIP_DEFLATED)


def read_model(path: Path = MODEL_PATH) -> Model:
    """Return the model of a file.

    Raises:
        ModelMissing: there is no such file.
    """
    if not path.is_file():
        raise ModelMissing(f"{path} is missing; `python -m intent_service.training` builds it")
    with zipfile.ZipFile(path) as archive:
        facts = json.loads(archive.read("facts.json"))
        tables = {
            Path(name).stem: np.load(BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
            if name.endswith(".npy")
        }
    return Model(_classifier(facts, tables), _speller(facts), _languages(facts, tables), facts["data_digest"])


def _classifier(facts: dict[str, object], tables: dict[str, NDArray[np.generic]]) -> Classifier:
    def floats(name: str) -> NDArray[np.float32]:
        return tables[name].astype(np.float32)

    def vocabulary(name: str) -> dict[str, int]:
        return {gram: row for row, gram in enumerate(str(facts[name]).split("\n"))}

    linear = LinearModel(
        WordGrams(vocabulary("word_grams"), floats("word_idf").tolist()),
        CharacterGrams(vocabulary("character_grams"), floats("character_idf").tolist()),
        floats("word_weights"),
        floats("character_weights"),
        floats("bias"),
    )
    network = Network(floats("hidden"), floats("hidden_bias"), floats("output"), floats("output_bias"))
    share, temperature = floats("mixture").tolist()
    return Classifier(tuple(str(facts["classes"]).split("\n")), linear, network, share, temperature)


def _speller(facts: dict[str, object]) -> Speller:
    words = str(facts["words"]).split("\n")
    counts = {word: len(words) - place for place, word in enumerate(words)}
    return build_speller(counts, str(facts["known_words"]).split("\n"))


def _languages(facts: dict[str, object], tables: dict[str, NDArray[np.generic]]) -> LanguageModel:
    rows = tables["word_languages"].astype(np.float32).tolist()
    words = str(facts["words"]).split("\n")
    languages = tuple(str(facts["languages"]).split("\n"))
    return LanguageModel(languages, {word: tuple(row) for word, row in zip(words, rows, strict=True)})
