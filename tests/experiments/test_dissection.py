"""The columns of an attacked round's anatomy, beside their definitions."""

import numpy as np
import pytest
from scipy import stats

from pdrr import config, experiments
from pdrr.experiments import dissection, likeness, scene
from pdrr.types import Round

pytestmark = pytest.mark.usefixtures("small")
RULES = ("krum", "trimmed_mean", "median")
SETTING = [(rule, knowledge) for rule in RULES for knowledge in ("full", "partial")]
C = config.load("smoke").federation.c


@pytest.fixture
def measured(store):
    """The scene of a smoke run, its one run and its table."""

    def measure(rule, **options):
        options = {"profile": "smoke", "seed": 2, "store": store, **options}
        found = experiments.anatomy(rule, **options)
        assert len(found.runs) == 1
        return scene.scene(rule, **options), found.runs.iloc[0], found.table

    return measure


def random_round(k=6, d=400):
    rng = np.random.default_rng(5)
    clients = rng.integers(-3, 4, (k, d)).astype(np.float32)
    return Round(clients, np.zeros(d, np.float32))


def test_similarities_are_those_of_the_textbook():
    observed = random_round()
    products = likeness.Products.of(observed)
    x = observed.clients.astype(np.float64)
    s = np.sign(x)
    np.testing.assert_allclose(products.sign_pearson, np.corrcoef(s))
    np.testing.assert_allclose(products.raw_pearson, np.corrcoef(x))
    for i, j in ((0, 1), (2, 5)):
        cosines = [(a[i] @ a[j]) / (np.linalg.norm(a[i]) * np.linalg.norm(a[j])) for a in (x, s)]
        assert products.raw_cosine[i, j] == pytest.approx(cosines[0])
        assert products.sign_cosine[i, j] == pytest.approx(cosines[1])
        assert products.sign_agreement[i, j] == pytest.approx((s[i] == s[j]).mean())
        away = np.linalg.norm(x[i] - x[j])
        assert products.squared_distances[i, j] == pytest.approx(away**2)


def test_a_model_that_never_moved_is_like_nobody():
    observed = random_round()
    observed.clients[2] = 0
    products = likeness.Products.of(observed)
    for name in ("sign_pearson", "sign_cosine", "raw_pearson", "raw_cosine"):
        assert (getattr(products, name)[2] == 0).all()


def test_the_mean_over_pairs_leaves_out_each_model_itself():
    similarity = np.array([[1.0, 0.2, 0.4], [0.2, 1.0, 0.6], [0.4, 0.6, 1.0]])
    assert likeness.mean_among(similarity, np.array([0, 1, 2])) == pytest.approx(0.4)
    assert np.isnan(likeness.mean_among(similarity, np.array([1])))


def test_distances_are_to_the_other_benign_models():
    observed = random_round()
    byzantine = np.arange(6) < 2
    found = dissection.distances(likeness.Products.of(observed), byzantine)
    x = observed.clients.astype(np.float64)
    for i in (0, 3):
        others = x[[j for j in range(2, 6) if j != i]]
        assert found["to_previous"][i] == pytest.approx(np.linalg.norm(x[i]))
        assert found["to_centre"][i] == pytest.approx(np.linalg.norm(x[i] - others.mean(axis=0)))
        assert found["to_nearest"][i] == pytest.approx(np.linalg.norm(x[i] - others, axis=1).min())


@pytest.mark.parametrize(("rule", "knowledge"), SETTING)
def test_the_direction_is_the_one_that_the_attack_moves_against(measured, rule, knowledge):
    here, run, _ = measured(rule, knowledge=knowledge)
    s = dissection.direction(here)
    assert set(np.unique(s)) <= {-1, 0, 1}
    assert run["density"] == pytest.approx((s != 0).mean())
    sent = here.observed.clients[0]
    if rule == "krum":
        assert here.crafted.succeeded
        stay = s == 0
        np.testing.assert_array_equal(sent[stay], here.honest.previous[stay])
        assert (np.sign(sent - here.honest.previous)[~stay] == -s[~stay]).mean() > 0.99
    else:
        np.testing.assert_array_equal(sent[s == 0], here.honest.previous[s == 0])
        assert here.crafted.detail["moved"] == np.count_nonzero(s)


@pytest.mark.parametrize(("rule", "knowledge"), SETTING)
def test_sides_are_counted_where_the_pre_aggregate_has_moved(measured, rule, knowledge):
    here, run, _ = measured(rule, knowledge=knowledge)
    detector = scene.defense(here.settings, rule)
    for received, suffix in ((here.observed, ""), (here.honest, "_unattacked")):
        middle = detector.detect(received).pre_aggregate
        moved = middle != here.honest.previous
        if not suffix:
            assert run["density_w_pag"] == pytest.approx(moved.mean())
        x = np.sign(here.observed.clients - middle)[:, moved]
        for who, rows in (("malicious", slice(C)), ("benign", slice(C, None))):
            sides = np.stack([(x[rows] == sign).sum(axis=0) for sign in (-1, 1)]).max(axis=0)
            n = len(x[rows])
            assert run[f"one_side_{who}{suffix}"] == pytest.approx((sides / n).mean())
            assert run[f"all_one_side_{who}{suffix}"] == pytest.approx((sides == n).mean())


@pytest.mark.parametrize("rule", RULES)
def test_the_effect_is_that_on_the_rule_s_own_aggregate(measured, rule):
    here, run, _ = measured(rule)
    detector = scene.defense(here.settings, rule)
    w, attacked = (
        detector.detect(r).pre_aggregate.astype(np.float64) for r in (here.honest, here.observed)
    )
    previous = here.honest.previous
    s = np.sign(w - previous)
    up, down = s > 0, s < 0
    lower = (attacked < w)[up].sum() + (attacked > w)[down].sum()
    assert run["against"] == pytest.approx(lower / np.count_nonzero(s))
    assert run["objective"] == pytest.approx((s @ (w - attacked)) / np.abs(w - previous).sum())
    assert run["reversed"] <= run["against"]


def test_counts_follow_from_the_table(measured):
    for rule, beta in (("trimmed_mean", 10), ("median", 24)):
        here, run, table = measured(rule)
        mean = table.groupby("byzantine")["statistic"].mean() / here.honest.d
        name = "trimmed" if rule == "trimmed_mean" else "remained"
        assert run[f"{name}_malicious"] == pytest.approx(mean[True])
        assert run[f"{name}_benign"] == pytest.approx(mean[False])
        counted = 1 - run["zero"]
        for who in ("malicious", "benign"):
            assert run[f"trimmed_{who}"] + run[f"remained_{who}"] == pytest.approx(counted)
        # at a zero-change coordinate k - 2 beta of the k values are kept, whoever sent them
        k = here.honest.k
        kept = C * run["zero_kept_malicious"] + (k - C) * run["zero_kept_benign"]
        assert kept == pytest.approx(k - 2 * beta)
        assert 0 < run["zero_any"] <= 1


def test_distances_of_both_kinds_are_means_of_the_table(measured):
    _, run, table = measured("krum", knowledge="full")
    for who, rows in (("malicious", table["byzantine"]), ("benign", ~table["byzantine"])):
        for name in ("to_previous", "to_centre", "to_nearest"):
            assert run[f"{name}_{who}"] == pytest.approx(table[rows][name].mean())
    # all copies lie lambda from w_p in each coordinate that s moves
    near = run["lambda"] * np.sqrt(run["density"] * 1947)
    assert run["to_previous_malicious"] == pytest.approx(near, rel=1e-3)


def test_of_krum_nothing_is_counted(measured):
    _, run, _ = measured("krum")
    assert "trimmed_malicious" not in run


class Drawn:
    """A scene whose benign values are drawn from one distribution, some coordinates apart."""

    def __init__(self, draw, k=40, d=600):
        rng = np.random.default_rng(3)
        clients = draw(rng, (k, d))
        clients[:, :60] = 1  # nobody moved
        clients[0, 60:90] = clients[1, 60:90]  # ties
        self.settings = config.load("smoke")
        self.byzantine = np.arange(k) < 10
        self.observed = self.honest = Round(clients[:], np.zeros(d))
        self.observed.clients[10, 60:90] = self.observed.clients[11, 60:90]


def test_normal_values_pass_and_skewed_ones_do_not():
    bell = Drawn(lambda rng, size: rng.normal(2, 3, size))
    normal = dissection.shape(bell, np.full(600, 2.0), np.full(600, 5.0))
    tail = Drawn(lambda rng, size: rng.exponential(1, size))
    skewed = dissection.shape(tail, np.ones(600), np.ones(600))
    assert (normal["unmoved"], normal["tied"]) == pytest.approx((0.1, 0.05))
    assert 0.9 < normal["normal"] < 0.99
    assert skewed["normal"] < 0.2
    assert abs(normal["skewness"]) < 0.1 < 0.5 < skewed["skewness"]
    assert abs(normal["kurtosis"]) < 0.6 < skewed["kurtosis"]
    # the mean of 30 is within .18 of the true one, give or take
    assert normal["offset"] == pytest.approx(stats.norm.ppf(0.75) / np.sqrt(30), rel=0.3)
    assert normal["offset_unattacked"] == pytest.approx(1, rel=0.1)  # 5 is one deviation from 2


def test_where_every_coordinate_is_tied_no_shape_is_told():
    found = dissection.shape(Drawn(lambda _, size: np.ones(size)), np.ones(600), np.ones(600))
    assert found["unmoved"] == 1
    assert np.isnan(found["normal"])


def test_other_similarities_have_a_run_each_and_the_first_is_the_paper_s(store):
    options = {"profile": "smoke", "knowledge": "full", "store": store}
    found = experiments.similarities(q=0.5, **options)
    ours = experiments.detection("krum", q=0.5, **options)
    assert found.runs["reading"].tolist() == list(likeness.READINGS)
    first = found.where(reading="Pearson of signs")
    for name in ("statistic", "score"):
        np.testing.assert_allclose(first.table[name], ours.table[name], atol=1e-9)
    for name in ("far", "mar", "q_low", "q_high"):
        assert first.runs[name][0] == pytest.approx(ours.runs[name][0])
    for _, rows in found.table.groupby("reading"):
        assert rows["score"].max() == pytest.approx(1)
