"""Which types a skops file may name to be loaded without trust: our own list, never the file's.

A type is on the list because of what loading does with it, not because it is popular:

- *objects* are made by ``__new__`` and given a state of listed things; no constructor and no attribute of the
  file's choosing is called. Those whose compiled code indexes without looking are checked first
  (``content``).
- *functions* are pure: they compute on arrays, and open, import, evaluate or call nothing that data can name.
- *types* are scalar and container types, and numpy's.

Not on it, for ever: methods, ``operator`` objects, builtin functions, anything called while loading, and
every module outside scikit-learn, numpy and scipy. ``functools.partial`` may only add plain keywords to a
listed function. The names were compared with scikit-learn 1.4, 1.6 and 1.9; one that the installed release
does not have is an error when loading, never a look elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ESTIMATORS = """
calibration: CalibratedClassifierCV
cluster._affinity_propagation: AffinityPropagation
cluster._agglomerative: AgglomerativeClustering FeatureAgglomeration
cluster._bicluster: SpectralBiclustering SpectralCoclustering
cluster._birch: Birch
cluster._bisect_k_means: BisectingKMeans
cluster._dbscan: DBSCAN
cluster._hdbscan.hdbscan: HDBSCAN
cluster._kmeans: KMeans MiniBatchKMeans
cluster._mean_shift: MeanShift
cluster._optics: OPTICS
cluster._spectral: SpectralClustering
compose._column_transformer: ColumnTransformer
compose._target: TransformedTargetRegressor
covariance._elliptic_envelope: EllipticEnvelope
covariance._empirical_covariance: EmpiricalCovariance
covariance._graph_lasso: GraphicalLasso GraphicalLassoCV
covariance._robust_covariance: MinCovDet
covariance._shrunk_covariance: LedoitWolf OAS ShrunkCovariance
cross_decomposition._pls: CCA PLSCanonical PLSRegression PLSSVD
decomposition._dict_learning: DictionaryLearning MiniBatchDictionaryLearning SparseCoder
decomposition._factor_analysis: FactorAnalysis
decomposition._fastica: FastICA
decomposition._incremental_pca: IncrementalPCA
decomposition._kernel_pca: KernelPCA
decomposition._lda: LatentDirichletAllocation
decomposition._nmf: MiniBatchNMF NMF
decomposition._pca: PCA
decomposition._sparse_pca: MiniBatchSparsePCA SparsePCA
decomposition._truncated_svd: TruncatedSVD
discriminant_analysis: LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis
dummy: DummyClassifier DummyRegressor
ensemble._bagging: BaggingClassifier BaggingRegressor
ensemble._forest: ExtraTreesClassifier ExtraTreesRegressor RandomForestClassifier RandomForestRegressor
    RandomTreesEmbedding
ensemble._gb: GradientBoostingClassifier GradientBoostingRegressor
ensemble._hist_gradient_boosting.gradient_boosting: HistGradientBoostingClassifier
    HistGradientBoostingRegressor
ensemble._iforest: IsolationForest
ensemble._stacking: StackingClassifier StackingRegressor
ensemble._voting: VotingClassifier VotingRegressor
ensemble._weight_boosting: AdaBoostClassifier AdaBoostRegressor
feature_extraction._dict_vectorizer: DictVectorizer
feature_extraction._hash: FeatureHasher
feature_extraction.image: PatchExtractor
feature_extraction.text: CountVectorizer HashingVectorizer TfidfTransformer TfidfVectorizer
feature_selection._from_model: SelectFromModel
feature_selection._rfe: RFE RFECV
feature_selection._sequential: SequentialFeatureSelector
feature_selection._univariate_selection: GenericUnivariateSelect SelectFdr SelectFpr SelectFwe SelectKBest
    SelectPercentile
feature_selection._variance_threshold: VarianceThreshold
frozen._frozen: FrozenEstimator
gaussian_process._gpc: GaussianProcessClassifier
gaussian_process._gpr: GaussianProcessRegressor
impute._base: MissingIndicator SimpleImputer
impute._knn: KNNImputer
isotonic: IsotonicRegression
kernel_approximation: AdditiveChi2Sampler Nystroem PolynomialCountSketch RBFSampler SkewedChi2Sampler
kernel_ridge: KernelRidge
linear_model._base: LinearRegression
linear_model._bayes: ARDRegression BayesianRidge
linear_model._coordinate_descent: ElasticNet ElasticNetCV Lasso LassoCV MultiTaskElasticNet
    MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV
linear_model._glm.glm: GammaRegressor PoissonRegressor TweedieRegressor
linear_model._huber: HuberRegressor
linear_model._least_angle: Lars LarsCV LassoLars LassoLarsCV LassoLarsIC
linear_model._logistic: LogisticRegression LogisticRegressionCV
linear_model._omp: OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV
linear_model._passive_aggressive: PassiveAggressiveClassifier PassiveAggressiveRegressor
linear_model._perceptron: Perceptron
linear_model._quantile: QuantileRegressor
linear_model._ransac: RANSACRegressor
linear_model._ridge: Ridge RidgeCV RidgeClassifier RidgeClassifierCV
linear_model._stochastic_gradient: SGDClassifier SGDOneClassSVM SGDRegressor
linear_model._theil_sen: TheilSenRegressor
manifold._classical_mds: ClassicalMDS
manifold._isomap: Isomap
manifold._locally_linear: LocallyLinearEmbedding
manifold._mds: MDS
manifold._spectral_embedding: SpectralEmbedding
manifold._t_sne: TSNE
mixture._bayesian_mixture: BayesianGaussianMixture
mixture._gaussian_mixture: GaussianMixture
model_selection._classification_threshold: FixedThresholdClassifier TunedThresholdClassifierCV
model_selection._search: GridSearchCV RandomizedSearchCV
multiclass: OneVsOneClassifier OneVsRestClassifier OutputCodeClassifier
multioutput: ClassifierChain MultiOutputClassifier MultiOutputRegressor RegressorChain
naive_bayes: BernoulliNB CategoricalNB ComplementNB GaussianNB MultinomialNB
neighbors._classification: KNeighborsClassifier RadiusNeighborsClassifier
neighbors._graph: KNeighborsTransformer RadiusNeighborsTransformer
neighbors._kde: KernelDensity
neighbors._lof: LocalOutlierFactor
neighbors._nca: NeighborhoodComponentsAnalysis
neighbors._nearest_centroid: NearestCentroid
neighbors._regression: KNeighborsRegressor RadiusNeighborsRegressor
neighbors._unsupervised: NearestNeighbors
neural_network._multilayer_perceptron: MLPClassifier MLPRegressor
neural_network._rbm: BernoulliRBM
pipeline: FeatureUnion Pipeline
preprocessing._data: Binarizer KernelCenterer MaxAbsScaler MinMaxScaler Normalizer PowerTransformer
    QuantileTransformer RobustScaler StandardScaler
preprocessing._discretization: KBinsDiscretizer
preprocessing._encoders: OneHotEncoder OrdinalEncoder
preprocessing._function_transformer: FunctionTransformer
preprocessing._label: LabelBinarizer LabelEncoder MultiLabelBinarizer
preprocessing._polynomial: PolynomialFeatures SplineTransformer
preprocessing._target_encoder: TargetEncoder
random_projection: GaussianRandomProjection SparseRandomProjection
semi_supervised._label_propagation: LabelPropagation LabelSpreading
semi_supervised._self_training: SelfTrainingClassifier
svm._classes: LinearSVC LinearSVR NuSVC NuSVR OneClassSVM SVC SVR
tree._classes: DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor
"""

_INTERNALS = """
_loss.link: HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit
_loss.loss: AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss HalfPoissonLoss
    HalfSquaredError HalfTweedieLoss HalfTweedieLossIdentity HuberLoss PinballLoss
calibration: _CalibratedClassifier _SigmoidCalibration _TemperatureScaling
cluster._bisect_k_means: _BisectingTree
ensemble._hist_gradient_boosting.binning: _BinMapper
ensemble._hist_gradient_boosting.predictor: TreePredictor
gaussian_process._gpc: _BinaryGaussianProcessClassifierLaplace
gaussian_process.kernels: CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Matern
    PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel
metrics._dist_metrics: BrayCurtisDistance64 CanberraDistance64 ChebyshevDistance64 DiceDistance64
    EuclideanDistance64 HammingDistance64 HaversineDistance64 JaccardDistance64 ManhattanDistance64
    MinkowskiDistance64 RogersTanimotoDistance64 RussellRaoDistance64 SEuclideanDistance64
    SokalMichenerDistance64 SokalSneathDistance64
metrics._scorer: _CurveScorer _PassthroughScorer _Scorer
model_selection._split: GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut
    LeavePOut PredefinedSplit RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold
    StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit
multiclass: _ConstantPredictor
neighbors._ball_tree: BallTree BallTree64
neighbors._kd_tree: KDTree KDTree64
neural_network._stochastic_optimizers: AdamOptimizer SGDOptimizer
utils._metadata_requests: MetadataRequest MethodMetadataRequest
"""

_LOSSES = """
_loss._loss: CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss CyHalfMultinomialLoss
    CyHalfPoissonLoss CyHalfSquaredError CyHalfTweedieLoss CyHalfTweedieLossIdentity CyHuberLoss CyPinballLoss
linear_model._sgd_fast: EpsilonInsensitive Hinge Huber Log ModifiedHuber SquaredEpsilonInsensitive
    SquaredHinge SquaredLoss
"""

_SKLEARN_FUNCTIONS = """
cluster._kmeans: _kmeans_single_elkan _kmeans_single_lloyd
feature_selection._mutual_info: mutual_info_classif mutual_info_regression
feature_selection._univariate_selection: chi2 f_classif f_oneway f_regression r_regression
metrics._classification: accuracy_score balanced_accuracy_score brier_score_loss cohen_kappa_score f1_score
    fbeta_score hamming_loss hinge_loss jaccard_score log_loss matthews_corrcoef precision_score recall_score
    zero_one_loss
metrics._ranking: average_precision_score dcg_score ndcg_score roc_auc_score top_k_accuracy_score
metrics._regression: d2_absolute_error_score d2_pinball_score d2_tweedie_score explained_variance_score
    max_error mean_absolute_error mean_absolute_percentage_error mean_gamma_deviance mean_pinball_loss
    mean_poisson_deviance mean_squared_error mean_squared_log_error mean_tweedie_deviance
    median_absolute_error r2_score root_mean_squared_error root_mean_squared_log_error
utils.validation: check_array
metrics.pairwise: additive_chi2_kernel chi2_kernel cosine_distances cosine_similarity euclidean_distances
    laplacian_kernel linear_kernel manhattan_distances polynomial_kernel rbf_kernel sigmoid_kernel
"""

_UFUNCS = """
abs absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil conjugate cos cosh deg2rad degrees
exp exp2 expm1 fabs floor fmax fmin isfinite isinf isnan log log10 log1p log2 logaddexp logical_not maximum
minimum negative positive rad2deg radians reciprocal rint sign signbit sin sinh sqrt square tan tanh trunc
"""

_REDUCTIONS = (
    "all any average max mean median min nanmax nanmean nanmedian nanmin nanstd nansum prod std sum var"
)

_SCALARS = """
bool bool_ float16 float32 float64 int16 int32 int64 int8 intc intp longlong str_ uint16 uint32 uint64 uint8
uintc uintp ulonglong
"""


def _names(table: str, package: str = "sklearn.") -> frozenset[str]:
    """The full names in a table of ``module: name name …`` lines; an indented line goes on."""
    names: set[str] = set()
    for line in table.strip().replace("\n    ", " ").splitlines():
        module, _, members = line.partition(": ")
        names.update(f"{package}{module}.{name}" for name in members.split())
    return frozenset(names)


def _in(modules: str, names: str) -> frozenset[str]:
    return frozenset(f"{module}.{name}" for module in modules.split() for name in names.split())


ESTIMATORS = _names(_ESTIMATORS)
"""The estimators that ``sklearn.utils.all_estimators()`` lists."""

_OBJECTS = ESTIMATORS | _names(_INTERNALS) | {"scipy.interpolate._bsplines.BSpline"}
_FUNCTIONS = (
    _names(_SKLEARN_FUNCTIONS)
    | _in("numpy numpy.core._multiarray_umath numpy._core._multiarray_umath", _UFUNCS)
    | _in(
        "numpy numpy._core.fromnumeric numpy.core.fromnumeric numpy.lib numpy.lib.nanfunctions", _REDUCTIONS
    )
    | _in("scipy.special scipy.special._ufuncs scipy.special._special_ufuncs", "expit exprel log1p logit")
    | {"scipy._lib.array_api_compat.numpy._aliases.asarray", "numpy.asarray"}
)

ALLOWED: Mapping[str, frozenset[str]] = {
    "JsonNode": _in("builtins", "str"),
    "DictNode": frozenset({"builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"}),
    "DefaultDictNode": frozenset({"collections.defaultdict"}),
    "ListNode": _in("builtins", "list"),
    "TupleNode": _in("builtins", "tuple"),
    "SetNode": _in("builtins", "set"),
    "SliceNode": _in("builtins", "slice"),
    "BytesNode": _in("builtins", "bytes"),
    "BytearrayNode": _in("builtins", "bytearray"),
    "TypeNode": _in("builtins", "bool dict float int list set str tuple")
    | _in("numpy", _SCALARS)
    | {"collections.OrderedDict"},
    "FunctionNode": _FUNCTIONS,
    "PartialNode": _in("functools", "partial"),
    "NdArrayNode": _in("numpy", _SCALARS) | {"numpy.ndarray"},
    "MaskedArrayNode": _in("numpy.ma numpy.ma.core", "MaskedArray"),
    "DTypeNode": _in("numpy", "dtype"),
    "RandomStateNode": _in("numpy.random.mtrand numpy.random", "RandomState"),
    "RandomGeneratorNode": _in("numpy.random._generator numpy.random", "Generator"),
    "SparseMatrixNode": _in("scipy.sparse._csr", "csr_array csr_matrix")
    | _in("scipy.sparse._csc", "csc_array csc_matrix")
    | _in("scipy.sparse._coo", "coo_array coo_matrix"),
    "LossNode": _names(_LOSSES),
    "TreeNode": _names("tree._tree: Tree"),
    "ObjectNode": _OBJECTS,
}
"""For each kind of node, the full names it may carry in a file of tier ``data``."""

NATIVE: Mapping[str, frozenset[str]] = {
    "ObjectNode": _in("lightgbm.sklearn", "LGBMClassifier LGBMModel LGBMRanker LGBMRegressor")
    | _in("xgboost.sklearn", "XGBClassifier XGBModel XGBRanker XGBRegressor XGBRFClassifier XGBRFRegressor")
    | {"lightgbm.basic.Booster", "xgboost.core.Booster"},
}
"""What a file of tier ``native`` may carry besides: objects whose state a library's own parser reads."""


def is_allowed(loader: str, name: str, *, native: bool = False) -> bool:
    """Whether a node of this kind may carry this name."""
    return name in ALLOWED.get(loader, ()) or (native and name in NATIVE.get(loader, ()))
