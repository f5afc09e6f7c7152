"""Files of boosted trees, checked before native code reads them.

XGBoost and LightGBM follow child pointers and index arrays without looking. A file from elsewhere is handed
to them only when no such number leads out of the arrays. What a check does not know it refuses; whoever
trusts the bytes says so, and they are not looked at.
"""

from modelserving.trust.boosters.lightgbm import problem_in_lightgbm
from modelserving.trust.boosters.xgboost import problem_in_xgboost

__all__ = ["problem_in_lightgbm", "problem_in_xgboost"]
