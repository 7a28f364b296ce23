//! Whole numbers on the command line.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Reads a number of a range, with underscores between digits or without, as a scenario file has it.
pub fn whole<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync,
{
    move |text| {
        let number = text.replace('_', "").parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            format!("expected a whole number from {} to {}", range.start(), range.end())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_the_range_is_taken_and_all_else_is_told_the_range() {
        let read = whole(1..=9_000_u32);
        assert_eq!((read("1"), read("9_000")), (Ok(1), Ok(9_000)));
        for bad in ["0", "9001", "-1", "1.5", "one", "", "99999999999"] {
            let told = read(bad).expect_err("it is none of the range");
            assert_eq!(told, "expected a whole number from 1 to 9000", "{bad}");
        }
    }
}
