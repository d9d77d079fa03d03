"""The classroom behaves like a federation, and the contest gives nothing for nothing."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from pdrr import ATTACKS, PDRR, Round, far, mar
from pdrr.aggregators import krum, mean, median, trimmed_mean
from pdrr.book import style
from pdrr.classroom import contest, figures, game
from pdrr.classroom.game import Classroom
from pdrr.core.directions import middle_direction

C = 12
RULES = {
    "krum": lambda observed: krum(observed.clients, c=C),
    "trimmed_mean": lambda observed: trimmed_mean(observed.clients, beta=C),
    "median": lambda observed: median(observed.clients),
}
SETTINGS = {"krum": {"c": C}, "trimmed_mean": {"beta": C}, "median": {}}
Q = {"krum": 0.25, "trimmed_mean": 0.95, "median": 0.71}


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """The models are small."""
    monkeypatch.setenv("PDRR_KERNELS", "off")


@pytest.fixture(scope="module", params=[1, 5])
def room(request):
    return Classroom(request.param)


def attack(rule, knowledge="full"):
    own = {"beta": C} if rule == "trimmed_mean" else {}

    def models(honest, byzantine, rng):
        crafted = ATTACKS[rule](honest, byzantine, knowledge=knowledge, rng=rng, **own)
        return crafted.observed.clients[byzantine]

    return models


def nothing(honest, byzantine, _):
    return honest.clients[byzantine]


# the classroom


def test_the_same_seed_gives_the_same_bits():
    one, two, other = (Classroom(seed).honest_round for seed in (4, 4, 5))
    start = Classroom(4).initial
    assert np.array_equal(one(start, 3).clients, two(start, 3).clients)
    assert not np.array_equal(one(start, 3).clients, one(start, 4).clients)
    assert not np.array_equal(one(start, 3).clients, other(start, 3).clients)


def test_a_round_is_what_the_package_takes(room):
    honest = room.honest_round(room.initial, 2)
    assert (honest.k, honest.d, honest.number) == (30, 2674, 2)
    assert honest.clients.dtype == np.float32
    assert room.byzantine.sum() == C
    assert np.array_equal(honest.previous, room.initial)


def test_compromised_clients_are_others_in_each_classroom():
    masks = {Classroom(seed).byzantine.tobytes() for seed in range(6)}
    assert len(masks) == 6


def test_no_tested_writer_trains(room):
    trained = {image.tobytes() for images, _ in room._own for image in images}
    assert not any(image.tobytes() in trained for image in room._test[0])


def test_a_client_s_training_follows_the_gradient(room, monkeypatch):
    """One step on all images goes down the slope that finite differences find."""
    images, labels = room._own[0]

    def loss(model):
        _, scores = game._forward(game._layers(model), images)
        return np.mean(np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(labels)), labels])

    for setting, value in {"EPOCHS": 1, "BATCH": len(labels), "RATE": 1.0}.items():
        monkeypatch.setattr(game, setting, value)
    start = room.initial.astype(np.float64)
    step = game._train(start, images, labels, np.random.default_rng(0)) - start
    rng = np.random.default_rng(1)
    for _ in range(5):
        ahead = rng.normal(size=len(start)) * 1e-7
        slope = (loss(start + ahead) - loss(start - ahead)) / 2
        assert slope == pytest.approx(-step @ ahead, rel=1e-4)


def test_it_learns(room):
    game = room.play(lambda observed: mean(observed.clients), rounds=12)
    assert game.accuracies[0] < 0.2
    assert game.accuracies[-1] > 0.65
    assert len(game.accuracies) == 13
    assert len(game.rounds) == 12


@pytest.mark.parametrize("rule", RULES)
def test_attacks_ruin_it_and_the_defence_saves_it(room, rule):
    def defended(observed):
        return PDRR(rule, q=Q[rule], **SETTINGS[rule]).aggregate(observed)[0]

    quiet = room.play(RULES[rule], rounds=6).accuracies[-1]
    ruined = room.play(RULES[rule], rounds=6, attack=attack(rule)).accuracies[-1]
    saved = room.play(defended, rounds=6, attack=attack(rule)).accuracies[-1]
    assert ruined < 0.2 < 0.3 < quiet
    assert saved > quiet - 0.1


@pytest.mark.parametrize("knowledge", ["full", "partial"])
@pytest.mark.parametrize("rule", RULES)
def test_the_defence_finds_every_attacker_and_nobody_else(room, rule, knowledge):
    for number in (1, 4):
        honest = room.play(RULES[rule], rounds=number).rounds[-1]
        observed = room.attacked(honest, attack(rule, knowledge))
        flagged = PDRR(rule, q=Q[rule], **SETTINGS[rule]).detect(observed).flagged
        assert (far(flagged, room.byzantine), mar(flagged, room.byzantine)) == (0, 0)


def test_one_liar_fells_the_mean(room):
    def liar(honest, byzantine, _):
        models = honest.clients[byzantine]
        models[0] = honest.previous - 60 * honest.updates.mean(axis=0)
        return models

    def accuracy(rule):
        return room.play(rule, rounds=6, attack=liar).accuracies[-1]

    assert accuracy(lambda observed: mean(observed.clients)) < 0.2
    assert accuracy(RULES["median"]) > 0.5


def test_an_attack_touches_its_own_clients_only(room):
    honest = room.honest_round(room.initial, 1)

    def rude(told, byzantine, _):
        told.clients[:] = 7
        byzantine[:] = True
        return np.full((C, told.d), 1e300)

    observed = room.attacked(honest, rude)
    assert np.array_equal(observed.clients[~room.byzantine], honest.clients[~room.byzantine])
    assert np.isinf(observed.clients[room.byzantine]).all()
    assert room.byzantine.sum() == C
    with pytest.raises(ValueError, match="needs models of shape"):
        room.attacked(honest, lambda told, *_: told.clients)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 0, "k": 36}, {"seed": 0, "c": 30}])
def test_what_no_classroom_can_be_is_refused(wrong):
    with pytest.raises(ValueError, match="Classroom needs"):
        Classroom(**wrong)


# the contest


def within(reach):
    """Between the benign models, against the direction."""

    def models(honest, byzantine, _):
        benign = honest.clients[~byzantine].astype(float)
        s = middle_direction(honest, C)
        return np.tile(benign.mean(axis=0) - reach * s * benign.std(axis=0), (C, 1))

    return models


def noise(honest, byzantine, rng):
    return honest.previous + rng.normal(0, honest.updates.std(), (byzantine.sum(), honest.d))


def huge(honest, byzantine, _):
    return np.full((byzantine.sum(), honest.d), 1e30)


def test_an_attack_that_does_nothing_does_no_damage():
    assert contest.evasion(nothing) == 0


@pytest.mark.parametrize("models", [noise, huge, contest.plain_attack])
def test_conspicuous_attacks_earn_nothing(models):
    assert contest.points(contest.evasion(models), contest.EVASION_STEPS) == 0


def test_an_attack_within_the_spread_earns_points():
    assert contest.points(contest.evasion(within(0.8)), contest.EVASION_STEPS) >= 4


class Counting:
    """Flags by the number of the call, or of the client: nothing that the models say."""

    def __init__(self, verdict):
        self.calls, self.verdict = 0, verdict

    def __call__(self, observed):
        self.calls += 1
        return self.verdict(self.calls, np.arange(observed.k))


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "verdict",
    [
        lambda _, clients: clients < 0,
        lambda _, clients: clients >= 0,
        lambda _, clients: clients < C,
        lambda _, clients: RNG.random(len(clients)) < 0.5,
        lambda call, clients: clients < (C if call % 3 else 0),
    ],
    ids=["nobody", "everybody", "the first c", "a coin", "the first c, two calls of three"],
)
def test_detectors_that_do_not_look_earn_nothing(verdict):
    score = contest.detection(Counting(verdict))
    assert score < 0.15
    assert contest.points(score, contest.DETECTION_STEPS) == 0


def test_the_defence_itself_earns_nothing_and_there_is_room_above():
    score = contest.detection(contest.pdrr_detector)
    assert 0.3 < score < contest.DETECTION_STEPS[0]


def test_knowing_the_truth_earns_everything():
    truth = {}
    for seed in contest.SEEDS:
        room, _, _, rounds = contest._stage(2 * seed + 1)
        for honest in rounds:
            truth[honest.clients[0].tobytes(), True] = np.zeros(30, dtype=bool)
            for way in (contest.plain_attack, contest.patient_attack):
                seen = room.attacked(honest, way)
                truth[seen.clients.tobytes(), False] = room.byzantine

    def oracle(observed):
        return truth.get((observed.clients.tobytes(), False), np.zeros(30, dtype=bool))

    assert contest.detection(oracle) == 1


def test_one_entry_learns_nothing_for_the_other():
    known = []

    def curious(honest, byzantine, rng):
        known.append((byzantine.tobytes(), rng.bit_generator.seed_seq.entropy))
        return honest.clients[byzantine]

    contest.evasion(curious)
    detected = {contest._stage(2 * seed + 1)[0] for seed in contest.SEEDS}
    assert not {mask for mask, _ in known} & {room.byzantine.tobytes() for room in detected}
    for _, entropy in known:
        assert min(entropy) > 1000, "the seed of the classroom"


def test_a_verdict_must_be_one():
    for wrong in ([True], np.ones(30), None):
        with pytest.raises(ValueError, match="detection needs a bool array"):
            contest.detection(lambda _, wrong=wrong: wrong)


def test_the_report_counts_the_better_entry(capsys):
    def unwritten(*_):
        raise NotImplementedError

    assert contest.report(unwritten, unwritten) == 0
    assert contest.report(nothing, contest.pdrr_detector) == 0
    assert contest.report(contest.patient_attack, unwritten) == contest.points(
        contest.evasion(contest.patient_attack), contest.EVASION_STEPS
    )
    assert "no entry" in capsys.readouterr().out


def test_points_are_steps():
    assert [contest.points(x, (0.1, 0.2)) for x in (0, 0.1, 0.15, 0.2, 1)] == [0, 1, 1, 2, 2]


# figures


def test_figures_are_drawn_in_the_book_s_colours():
    colours = (style.BENIGN, style.MALICIOUS, style.GREEN)
    ours = (figures.BENIGN, figures.MALICIOUS, figures.GREEN)
    assert colours == ours


def test_every_figure_draws():
    models = np.arange(8.0).reshape(4, 2)
    byzantine = np.array([True, False, False, True])
    drawn = [
        figures.curves({"one": [0.1, 0.5], "two": [0.2, 0.3]}, "title"),
        figures.sweep([1, 2], {"s": [3, 4]}, xlabel="x", ylabel="y", marked={"s": 1.5}, log=True),
        figures.plane(models, byzantine, {"mean": models.mean(axis=0)}),
        figures.client_bars({"n": np.arange(4.0)}, byzantine, q=2),
    ]
    for figure in drawn:
        assert isinstance(figure, Figure)
        figure.canvas.draw()
    labels = [text.get_text() for text in drawn[-1].legends[0].get_texts()]
    assert labels == ["q = 2", "benign", "malicious"]


def test_bars_of_one_kind_have_one_entry():
    figure = figures.client_bars({"n": np.ones(3)}, np.zeros(3, dtype=bool))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["benign"]


def test_rounds_of_the_classroom_are_rounds(room):
    assert isinstance(room.honest_round(room.initial, 1), Round)
