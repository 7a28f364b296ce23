//! Claims about crews.
