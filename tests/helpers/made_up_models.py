"""Rounds of model files: ten clients with three attackers, in every format."""

import numpy as np
import safetensors.numpy

K, C = 10, 3
FORMATS = (".npy", ".npz", ".safetensors")


def save(path, arrays):
    """Arrays by key in the format of the path's name; a .npy file takes the only one there is."""
    if path.suffix == ".npy":
        (values,) = arrays.values()
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        safetensors.numpy.save_file(
            {key: np.asarray(value, order="C") for key, value in arrays.items()}, path
        )


def load(path):
    """What NumPy and the safetensors library find in a file."""
    if path.suffix == ".npy":
        return {"": np.load(path)}
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return dict(archive)
    return safetensors.numpy.load_file(path)


def previous_model(suffix, dtype=np.float32):
    """The model that the server had sent."""
    rng = np.random.default_rng(5)
    if suffix == ".npy":
        return {"": rng.normal(size=200).astype(dtype)}
    return {
        "dense/kernel": rng.normal(size=(16, 12)).astype(dtype),
        "dense/bias": np.zeros(8, dtype),
        "batches": np.int64(100),
    }


def local_model(previous, client, rng):
    """What a client returns: an honest step, or one straight back; attackers lie about counters."""
    model = {}
    for key, values in previous.items():
        if values.dtype.kind != "f":
            model[key] = np.int64(2**62) if client < C else values + client
            continue
        step = rng.normal(0.05, 0.1, values.shape)
        step = np.full(values.shape, -0.4) if client < C else step
        model[key] = (values + step).astype(values.dtype)
    return model


def write_round(folder, suffix, dtype=np.float32):
    """A folder "round" of ten clients, the first three hostile, and a previous model beside it."""
    rng = np.random.default_rng(1)
    previous = previous_model(suffix, dtype)
    (folder / "round").mkdir()
    for client in range(K):
        save(folder / "round" / f"client-{client}{suffix}", local_model(previous, client, rng))
    save(folder / f"previous{suffix}", previous)
    return folder / "round", folder / f"previous{suffix}"


def bfloat16(values):
    """The bytes of float32 values cut to bfloat16, by hand: two upper bytes of each."""
    raw = np.ascontiguousarray(values, dtype="<f4").view(np.uint8).reshape(-1, 4)
    return raw[:, 2:].tobytes()
