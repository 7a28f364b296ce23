//! Durations and rates as people write them: `250ms`, `6s`, `10m`, `500/s`.
