"""Where layers lie in a model, told without the network."""

import subprocess
import sys

import pytest

from pdrr.federation.layers import layers, shapes
from pdrr.federation.network import PAPER_D, cnn


@pytest.mark.parametrize(("filters", "units"), [((2, 3), 5), ((4, 8), 16)])
def test_shapes_are_those_of_the_network(filters, units):
    network = cnn(filters=filters, units=units, seed=1)
    own = tuple(tuple(weight.shape) for weight in network.weights)
    assert shapes(filters, units) == own
    assert layers(filters, units)[-1][1] == network.count_params()


def test_the_layers_of_the_paper_s_network_cover_all_its_parameters():
    found = layers((32, 64), 2048)
    assert found[0][0] == 0
    assert found[-1][1] == PAPER_D
    assert [stop for _, stop, _ in found[:-1]] == [start for start, _, _ in found[1:]]
    assert [dimensions for _, _, dimensions in found] == [4, 1, 4, 1, 2, 1, 2, 1]


def test_layers_are_known_without_keras():
    code = "import sys, pdrr.federation.layers; assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
