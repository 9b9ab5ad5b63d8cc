"""pyiqa knows our names: in fresh processes, in both import orders, and not where it is told not to."""

import json
import os
import subprocess
import sys

import pytest

from causaliqa.api.specs import MetricSpec

PATHS = "import sys; img, ref = sys.argv[1:3]\n"


def run(code, *args, **environment):
    env = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", PATHS + code, *map(str, args)], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("first", ["torch", "pyiqa"])
def test_same_score_as_the_command_line_in_both_import_orders(pair_files, first):
    create = "pyiqa.create_metric('causal_effnet_lite0', device='cpu')"
    code = f"import {first}\nimport pyiqa\nprint({create}(img, ref).item())"
    through_pyiqa = float(run(code, *pair_files))
    command = [sys.executable, "-m", "causaliqa", "score", "causal_effnet_lite0", *map(str, pair_files), "--json"]
    document = json.loads(
        subprocess.run([*command, "--device", "cpu"], capture_output=True, text=True, check=True).stdout
    )
    assert document["scores"][0]["score"] == pytest.approx(through_pyiqa, rel=1e-6)


def test_names_lists_loss_and_options(pair_files):
    code = """
import torch, pyiqa
names = pyiqa.list_models()
assert {'causal', 'causal_vgg', 'causal_resnet', 'causal_effnet', 'causal_effnet_lite0', 'deepwsd'} <= set(names)
assert 'causal_vgg' in pyiqa.list_models('FR', filter='causal*')
loss = pyiqa.create_metric('causal_effnet_lite0', as_loss=True, device='cpu')
img = torch.rand(2, 3, 64, 64, requires_grad=True)
value = loss(img, torch.rand(2, 3, 64, 64))
value.backward()
assert value.dim() == 0 and img.grad.abs().sum() > 0
metric = pyiqa.create_metric('causal_effnet_lite0', device='cpu', terms='md', noise_seed=5)
assert metric.lower_better and metric.net.seed == 5 and metric.net.terms == ('md',)
assert metric(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)).shape == (2,)
print(pyiqa.create_metric('psnr', device='cpu')(img.detach(), img.detach()).numel())
"""
    assert run(code, *pair_files) == "2"


def test_a_calibrated_metric_as_loss_is_the_mean_of_its_own_loss(pair_files):
    code = """
import torch, pyiqa, causaliqa
own = causaliqa.create_metric('calibrated_effnet_lite0', device='cpu')
ref = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
img = (ref + .1).requires_grad_()
loss = pyiqa.create_metric('calibrated_effnet_lite0', as_loss=True, device='cpu')
value = loss(img, ref)
value.backward()
assert value.dim() == 0 and torch.isfinite(img.grad).all() and img.grad.abs().sum() > 0
torch.testing.assert_close(value, own.loss(img, ref).mean())
with torch.no_grad():  # pyiqa goes by as_loss alone
    torch.testing.assert_close(loss(img, ref), value)
assert loss(ref, ref).item() == 0
summed = pyiqa.create_metric('calibrated_effnet_lite0', as_loss=True, loss_reduction='sum', device='cpu')
torch.testing.assert_close(summed(img, ref), 2 * value)
metric = pyiqa.create_metric('calibrated_effnet_lite0', device='cpu', noise_seed=5)
assert metric.net.seed == 5 and metric.lower_better
scores = pyiqa.create_metric('calibrated_effnet_lite0', device='cpu')(img.detach().clamp(0, 1), ref)
torch.testing.assert_close(scores, own(img.detach().clamp(0, 1), ref))
print(scores.shape, scores.mean().item() != value.item())
"""
    assert run(code, *pair_files) == "torch.Size([2]) True"


def test_a_causal_metric_with_softmax_masses_warns_once_that_it_is_no_loss(pair_files):
    code = """
import logging, torch, pyiqa
class Kept(logging.Handler):
    said = []
    def emit(self, record): self.said.append(record.getMessage())
logging.getLogger('causaliqa').addHandler(Kept())
def warnings(**options):
    Kept.said.clear()
    loss = pyiqa.create_metric('causal_effnet_lite0', device='cpu', **options)
    for _ in range(2):
        loss(torch.rand(1, 3, 48, 48, requires_grad=True), torch.rand(1, 3, 48, 48))
    return [text for text in Kept.said if 'is no loss' in text]
assert warnings() == warnings(as_loss=True, terms='l2') == []
said = warnings(as_loss=True)
assert len(said) == 1 and 'train with calibrated_effnet_lite0' in said[0], said
print(warnings(as_loss=True))
"""
    assert run(code, *pair_files) == "[]"


def test_switched_off_pyiqa_is_as_it_was_and_can_be_told_by_hand(pair_files):
    code = """
import torch, pyiqa
from pyiqa.utils.registry import ARCH_REGISTRY
assert not [n for n in pyiqa.list_models() if n.startswith('causal') or n == 'deepwsd']
assert 'CausaliqaMetric' not in ARCH_REGISTRY
light = {'causaliqa', *(f'causaliqa.{m}' for m in ('interop', 'interop.autoload', 'utils', 'utils.environment'))}
assert not {m for m in sys.modules if m.startswith('causaliqa')} - light
import causaliqa
names = causaliqa.register_with_pyiqa()
assert 'causal_vgg' in names and causaliqa.register_with_pyiqa() == names
print(pyiqa.create_metric('causal_effnet_lite0', device='cpu')(img, img).item())
"""
    assert run(code, *pair_files, CAUSALIQA_NO_AUTOLOAD="1") == "0.0"


def test_torch_alone_stays_cheap(pair_files):
    code = """
import torch, time
import causaliqa.interop.autoload as a
light = {'causaliqa.interop', 'causaliqa.interop.autoload', 'causaliqa.utils', 'causaliqa.utils.environment'}
assert not {m for m in sys.modules if m.startswith(('pyiqa', 'causaliqa.'))} - light
took = []
for _ in range(50):  # the best of many: a busy machine must not fail this
    sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != '_Waiting']
    start = time.perf_counter(); a.autoload(); took.append(time.perf_counter() - start)
assert sum(type(f).__name__ == '_Waiting' for f in sys.meta_path) == 1
a.autoload()
assert sum(type(f).__name__ == '_Waiting' for f in sys.meta_path) == 1
print(min(took) < 0.001)
"""
    assert run(code, *pair_files) == "True"


def test_our_failure_leaves_pyiqa_usable(pair_files):
    code = """
import causaliqa.catalog.create
def fail(): raise RuntimeError('boom')
causaliqa.catalog.create.default_catalog = fail
import pyiqa
print(pyiqa.create_metric('psnr', device='cpu')(img, img).numel(), 'causal_vgg' in pyiqa.list_models())
"""
    assert run(code, *pair_files) == "1 False"


def test_no_name_of_ours_is_taken_for_fid():
    from causaliqa.catalog.create import default_catalog

    records = default_catalog().registrations(MetricSpec)
    ours = [n for n, r in records.items() if r.provider != "pyiqa"]
    assert ours
    assert not [n for n in ours if "fid" in n]
