"""NearestMean keeps the contract of a flavor."""

import numpy as np
import pytest
from nearest_mean import NearestMean
from nearest_mean_flavor import NearestMeanFlavor

from modelserving.testing import FlavorTests


class TestNearestMean(FlavorTests):
    @pytest.fixture
    def flavor(self):
        return NearestMeanFlavor()

    @pytest.fixture
    def model(self):
        return NearestMean(["low", "high"], [[0.0, 0.1], [5.0, 5.3]])

    @pytest.fixture
    def data(self):
        return np.array([[0.5, 0.2], [4.0, 6.0], [2.4, 2.6]])
