"""How much faster one film is on two Ray nodes than on one.

    python benchmarks/ray_nodes.py CLIP [--minutes 20] [--nodes 1 2] [--rounds 3] [--video] [--json FILE]

Nodes of one core each are started on this machine, which needs a core for each; no network lies between them. The
clip's packets are repeated to the length; it begins with a key frame, so a clip of a few seconds can be cut often
enough. Numbers of nodes take turns; the fastest round of each counts. Before the clock starts, a minute of the film is
analysed, so that workers have started and loaded their models. frames.csv has to be the same in every run.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from common import Clock, cores, loop, table
from ray.cluster_utils import Cluster

from ferwatch.pipeline.analyze import write_run
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.ray_cluster import RayCluster
from ferwatch.pipeline.segment import load_classifier
from ferwatch.utils.threads import use_single_threaded_libraries

WARM_UP_SECONDS = 60.0
NODE = {"num_cpus": 1, "object_store_memory": 200_000_000}


def one_round(
    film: Path, nodes: int, folder: Path, options: AnalysisOptions, warm_up: AnalysisOptions
) -> dict[str, Any]:
    """Analyse the film on a cluster of so many nodes; return the seconds of the run, and the bytes of its table."""
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**NODE)
        classifier = load_classifier(options)
        with RayCluster(cluster.address) as executor:
            write_run(film, folder / "warm-up", warm_up, classifier, executor=executor, overwrite=True)
            with Clock() as clock:
                run = write_run(film, folder / "run", options, classifier, executor=executor, overwrite=True)
        return {"seconds": clock.wall, "driver": clock.cpu, "rows": (run.folder / "frames.csv").read_bytes()}
    finally:
        cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--video", action="store_true", help="write annotated.mp4 too")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if max(arguments.nodes) > cores():
        raise SystemExit(f"{max(arguments.nodes)} nodes need as many cores; this machine has {cores()}")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    use_single_threaded_libraries()
    options = AnalysisOptions(annotate=arguments.video)
    warm_up = AnalysisOptions(annotate=False, end=WARM_UP_SECONDS)
    best: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        film = loop(arguments.clip, Path(folder) / "film.mp4", 60 * arguments.minutes)
        for _ in range(arguments.rounds):
            for nodes in arguments.nodes:
                took = one_round(film, nodes, Path(folder), options, warm_up)
                if best and took["rows"] != next(iter(best.values()))["rows"]:
                    raise SystemExit(f"frames.csv of {nodes} nodes is another one")
                if nodes not in best or took["seconds"] < best[nodes]["seconds"]:
                    best[nodes] = took
    first = best[arguments.nodes[0]]["seconds"]
    results = [
        {
            "nodes": nodes,
            "seconds": took["seconds"],
            "driver_cpu_seconds": took["driver"],
            "times_the_first": first / took["seconds"],
            "times_the_film": 60 * arguments.minutes / took["seconds"],
        }
        for nodes, took in best.items()
    ]
    print(table(list(results[0]), [list(result.values()) for result in results]))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
