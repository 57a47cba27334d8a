"""Parts of `scripts/bench faults`: a cluster to break, work to lose, and a witness."""
