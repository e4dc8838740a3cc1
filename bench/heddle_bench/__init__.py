"""The benchmark suite: subjects side by side in one run, results as ratios. See bench/README.md.

    cli         the command line              machine     what it ran on
    ground      the two topologies            peers       installs the subjects that are not ours
    subjects/   what is compared              tls         certificates, and what a handshake agreed on
    workloads/  what is measured              load        runs heddle-bench-load, reads what it says
    rounds      interleaves, repeats, voids   quiet       whether the machine was ours
    statistics  medians, intervals            report      tables, JSON, plots
"""
