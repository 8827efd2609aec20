"""A pod's files as the kubelet mounts them, and the real program in place of the pod's container."""

import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from testbed.chart import Object, Pod

__all__ = ["arguments_in", "mount", "mount_config_maps", "variables_of"]

_versions = count()


def mount(folder: Path, files: Mapping[str, str]) -> None:
    """Shows a Secret's or ConfigMap's files in a folder, in place of an older version of them.

    As AtomicWriter of the kubelet does it: each name is a link into ..data, itself a link to a folder of this version;
    changing it takes one rename.
    """
    folder.mkdir(parents=True, exist_ok=True)
    current = folder / "..data"
    older = current.resolve() if current.exists() else None
    version = folder / f"..version_{next(_versions)}"
    version.mkdir()
    for name, text in files.items():
        (version / name).write_text(text)
    fresh = folder / "..data_tmp"
    fresh.symlink_to(version.name)
    fresh.rename(current)
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    if older is not None:
        shutil.rmtree(older)


def mount_config_maps(pod: Pod, objects: tuple[Object, ...], root: Path) -> None:
    """Shows the pod's only container its ConfigMaps, each at its place below a root of its own."""
    [container] = pod.containers
    held = {each["metadata"]["name"]: each["data"] for each in objects if each["kind"] == "ConfigMap"}
    places = {place["name"]: place["mountPath"] for place in container["volumeMounts"]}
    for volume in pod.spec["volumes"]:
        if "configMap" in volume:
            mount(root / places[volume["name"]].lstrip("/"), held[volume["configMap"]["name"]])


def arguments_in(pod: Pod, root: Path) -> list[str]:
    """What the pod's only container is started with; paths are below that root."""
    [container] = pod.containers
    return [str(root / each.lstrip("/")) if each.startswith("/") else each for each in container["args"]]


def variables_of(pod: Pod) -> dict[str, str]:
    """The environment that the pod's only container is given, as far as the chart knows the values."""
    [container] = pod.containers
    return {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}
