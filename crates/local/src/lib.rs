//! Services as process groups of this machine, behind the same ports as a cluster.
