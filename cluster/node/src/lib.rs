//! Composition: chooses real adapters and wires the roles of a cluster together.
