"""Tests that ship: :class:`FlavorTests` is the contract of a flavor, for whoever writes one.

Example::

    class TestMyFlavor(FlavorTests):
        @pytest.fixture
        def flavor(self):
            return MyFlavor()

        @pytest.fixture
        def model(self):
            return my_framework.fit(...)

        @pytest.fixture
        def data(self):
            return numpy.array([[1.0, 2.0]])
"""

from __future__ import annotations

from modelserving.testing.flavor import FlavorTests, grant

__all__ = ["FlavorTests", "grant"]
