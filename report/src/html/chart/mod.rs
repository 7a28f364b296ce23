//! Charts as SVG, drawn here, so that a page needs no script and no network to be read.

pub(crate) mod bins;
pub(crate) mod distribution;
mod line;
pub(crate) mod overlay;
mod panel;
mod rows;
pub(crate) mod scalability;
mod scale;
pub(crate) mod spark;
pub(crate) mod timeline;
