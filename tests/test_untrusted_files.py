"""Nothing in a file that somebody else made is run: not in the package's own source, not by a crafted model."""

import ast
import io
import json
import zipfile
from pathlib import Path

import keras
import pytest

import keras_dnnts
from keras_dnnts.errors import UserError
from keras_dnnts.running import saved_models
from keras_dnnts.running.saved_models import find_saved_model, load_keras_model
from tests.finished_runs import cifar_result, names_result
from tests.names_folders import call

PACKAGE = Path(keras_dnnts.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
# The first reads pickles, by an unpickler that imports and calls nothing; the second has joblib start processes, which
# hand objects to each other and read no file.
MAY_UNPICKLE = {"datasets/restricted_pickle.py", "running/pools.py"}
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {keyword.arg: keyword.value for keyword in node.keywords}


def is_constant(node, value):
    return isinstance(node, ast.Constant) and node.value is value


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def faults(tree):
    """Every place of a module that would run, or let NumPy, Keras, torch or tarfile run, what a file says."""
    for name, keywords in calls(tree):
        last = name.rpartition(".")[2]
        if last in ("eval", "exec") and name in ("eval", "exec"):
            yield name
        if name in ("np.load", "numpy.load") and not is_constant(keywords.get("allow_pickle"), False):
            yield f"{name} without allow_pickle=False"
        if is_constant(keywords.get("allow_pickle"), True):
            yield f"{name} with allow_pickle=True"
        if last == "load_model" and not is_constant(keywords.get("safe_mode"), True):
            yield f"{name} without safe_mode=True"
        if name.endswith("enable_unsafe_deserialization"):
            yield name
        if name in ("torch.load", "yaml.load", "np.fromfile") or last in ("extractall", "unpack_archive", "extract"):
            yield name


def test_nothing_in_the_package_runs_what_files_say():
    assert len(SOURCES) > 50
    for source in SOURCES:
        tree = ast.parse(source.read_text(encoding="utf-8"))
        where = source.relative_to(PACKAGE).as_posix()
        # A person's own model runs where a person names it; tests/test_own_models.py says when it does not.
        assert [*faults(tree)] == (["exec"] if where == "own_models.py" else []), where
        if where not in MAY_UNPICKLE:
            assert not UNPICKLERS & {*imported(tree)}, where


@pytest.mark.parametrize(
    "line",
    [
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "keras.models.load_model(path)",
        "keras.saving.load_model(path, safe_mode=False)",
        "torch.load(path)",
        "archive.extractall(folder)",
        "eval(text)",
    ],
)
def test_the_search_finds(line):
    assert [*faults(ast.parse(line))]


def crafted(path, layer):
    """A model as Keras saves it, with one layer's description replaced."""
    inputs = keras.Input((64, 64, 3))
    model = keras.Model(inputs, keras.layers.Dense(3, name="crafted")(keras.layers.Flatten()(inputs)))
    file = io.BytesIO()
    keras.saving.save_model(model, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    for description in config["config"]["layers"]:
        if description["config"].get("name") == "crafted":
            description.update(layer)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    path.write_bytes(file.getvalue())


def marshalled(owned):
    model = keras.Sequential([keras.layers.Lambda(lambda x: (open(owned, "w"), x)[1])])  # noqa: PTH123, SIM115
    return keras.saving.serialize_keras_object(model.layers[0])


def crafted_layers(owned):
    target = str(owned)
    return {
        "Lambda": marshalled(target),
        "os.system": {
            "module": "os",
            "class_name": "system",
            "registered_name": None,
            "config": {"command": f"touch {target}"},
        },
        "pathlib": {
            "module": "pathlib",
            "class_name": "Path.touch",
            "registered_name": None,
            "config": {"self": target},
        },
        "torch": {
            "module": "keras.layers",
            "class_name": "TorchModuleWrapper",
            "registered_name": None,
            "config": {"name": "crafted", "module": {"class_name": "__bytes__", "config": "gASVAAAAAA=="}},
        },
    }


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    cifar_result().save(folder)
    return folder


@pytest.mark.every_engine
@pytest.mark.parametrize("kind", ["Lambda", "os.system", "pathlib", "torch"])
def test_crafted_models_are_refused(kind, run, tmp_path, capfd):
    crafted(run / "model-seed-0.keras", crafted_layers(tmp_path / "owned")[kind])
    with pytest.raises(UserError, match=r"model-seed-0\.keras: is damaged or not a model of this program"):
        load_keras_model(find_saved_model(run), keras.backend.backend())
    assert not (tmp_path / "owned").exists()


@pytest.mark.every_engine
@pytest.mark.parametrize("command", ["predict", "export"])
def test_commands_refuse_crafted_models_in_one_line(command, run, tmp_path, capfd):
    crafted(run / "model-seed-0.keras", crafted_layers(tmp_path / "owned")["Lambda"])
    (tmp_path / "a.ppm").write_bytes(b"P6 8 8 255\n" + bytes(8 * 8 * 3))
    arguments = {"predict": [tmp_path / "a.ppm"], "export": ["--format", "onnx"]}[command]
    if command == "export":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    assert call(command, run, *arguments, "--backend", keras.backend.backend()) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1, error
    assert "model-seed-0.keras" in error
    assert not (tmp_path / "owned").exists()


@pytest.mark.every_engine
def test_models_cannot_fill_the_disk(run, monkeypatch):
    crafted(run / "model-seed-0.keras", {})
    monkeypatch.setattr(saved_models, "LARGEST_WEIGHTS_BYTES", 1000)
    with pytest.raises(UserError, match="more than 1000 bytes"):
        load_keras_model(find_saved_model(run), keras.backend.backend())


@pytest.mark.every_engine
def test_models_of_names_cannot_fill_the_memory(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    names_result().save(tmp_path / "run")
    crafted(tmp_path / "run" / "model-seed-0.keras", {})
    monkeypatch.setattr(saved_models, "LARGEST_WEIGHTS_BYTES", 1000)
    with pytest.raises(UserError, match="more than 1000 bytes"):
        saved_models.read_arrays(tmp_path / "run" / "model-seed-0.keras", {})
