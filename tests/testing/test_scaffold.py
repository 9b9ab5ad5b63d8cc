"""`causaliqa new-plugin`: what it writes, installs, passes its own test and works on every surface."""

import ast
import json

import pytest
from installed import Installed

from causaliqa.api.errors import InputError
from causaliqa.cli import main
from causaliqa.testing.scaffold import KINDS, new_plugin


def code_lines(text):
    """Lines that hold code: neither empty, nor a comment, nor a docstring."""
    strings = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    lines = enumerate(text.splitlines(), 1)
    return [line for n, line in lines if line.strip() and n not in strings and not line.strip().startswith("#")]


@pytest.mark.parametrize("kind", KINDS)
def test_files(tmp_path, kind):
    package = new_plugin("two-words", kind, tmp_path)
    assert package == tmp_path / "causaliqa-two-words"
    module = package / "causaliqa_two_words" / "__init__.py"
    text = module.read_text()
    assert 10 < len(code_lines(text)) < 40
    assert f"def causaliqa_{kind}s()" in text
    assert "$" not in "".join(p.read_text() for p in package.rglob("*") if p.is_file())
    assert f'check_{kind}("two_words")' in (package / "tests" / "test_two_words.py").read_text()
    assert (module.parent / "py.typed").is_file()


@pytest.mark.parametrize("name", ["", "My", "1st", "a b", "a__b", "../x", "a.b", "-x", "x_"])
def test_invalid_names(tmp_path, name):
    with pytest.raises(InputError, match="expected lower-case letters"):
        new_plugin(name, "metric", tmp_path)
    assert not list(tmp_path.iterdir())


def test_other_refusals(tmp_path):
    with pytest.raises(InputError, match="fid"):
        new_plugin("fidelity", "metric", tmp_path)
    with pytest.raises(InputError, match="expected metric or backbone"):
        new_plugin("x", "dataset", tmp_path)
    new_plugin("fidelity", "sampler", tmp_path)
    with pytest.raises(InputError, match="is there already"):
        new_plugin("fidelity", "sampler", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        new_plugin("x", "metric", tmp_path / "file")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["psnr"], "metric 'psnr' is taken by pyiqa"),
        (["vgg", "--kind", "backbone"], "backbone 'vgg' is taken by causaliqa"),
        (["Bad Name"], "got name 'Bad Name'"),
    ],
)
def test_the_command_refuses(tmp_path, capsys, argv, words):
    assert main(["new-plugin", *argv, "--out", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


SCORE = "import sys, pyiqa\nprint(pyiqa.create_metric(sys.argv[1], device='cpu')(sys.argv[2], sys.argv[3]).item())"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_scaffolded_plugin_works_everywhere(tmp_path, kind, pair_files):
    name = f"my_{kind}"
    place = Installed(tmp_path / "installed")
    made = place.command("new-plugin", name, "--kind", kind, "--out", tmp_path)
    assert made.returncode == 0, made.stderr
    package = tmp_path / f"causaliqa-my-{kind}"
    assert str(package) in made.stdout
    place.install(package)

    own = place.python("-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", package, package / "tests")
    assert own.returncode == 0, own.stdout + own.stderr
    assert "1 passed" in own.stdout

    listed = json.loads(place.command("list", f"{kind}s", name, "--json").stdout)["items"]
    assert [(row["name"], row["provider"]) for row in listed] == [(name, f"causaliqa-my-{kind} 0.1.0")]
    if kind in ("metric", "backbone"):
        metric = name if kind == "metric" else f"causal_{name}"
        done = place.command("score", metric, *pair_files, "--json", "--device", "cpu")
        assert done.returncode == 0, done.stderr
        score = json.loads(done.stdout)["scores"][0]["score"]
        assert score > 0
        through = place.python("-c", SCORE, metric, *pair_files)
        assert float(through.stdout.split()[-1]) == pytest.approx(score, rel=1e-4)
        manifest = tmp_path / "set.csv"
        img, ref = pair_files
        manifest.write_text(f"ref,dist,dmos\n{ref},{img},2\n{ref},{ref},0\n")
        board = place.command("leaderboard", "--data", manifest, "--metric", metric, "--format", "json")
        assert json.loads(board.stdout)["rows"][0]["n"] == 2, board.stderr
    else:
        restorer, task = (name, "denoise") if kind == "restorer" else ("tiny_edsr_x4", "sr")
        line = ["cem", restorer, pair_files[1], "--task", task, "--roi", "16,16,16,16", "--coarse", 1, "--fine", 1]
        line += ["--sampler", name if kind == "sampler" else "noise", "--device", "cpu", "--out", tmp_path / "map"]
        done = place.command(*line)
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / "map" / "summary.json").read_text())["restorer"] == restorer
