//! The simulated world on turmoil: hosts, faults, phases, one seed.
